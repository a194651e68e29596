/**
 * Random histories in which runs are cut anywhere and catalogs are lost or put back: nothing is ever lost from an answer,
 * and after the next run everything is exactly right again. A failing seed replays with REPAIR_SEED.
 */
import { describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { backUpCatalog, loseCatalog, restoreCatalog } from "../support/control-schema.ts";
import { expectNothingLost, expectSettled, retrievalDifference } from "../support/oracle.ts";
import { Scenario } from "../support/scenario.ts";
import { expectVerified } from "../support/verified.ts";

const SEEDS = process.env["REPAIR_SEED"]?.split(",").map(Number) ?? [1, 2, 3, 4];
const STEPS = 18;
const DUE = ["2026-01-05", "2026-01-10", "2026-01-11", "2026-01-29"];
const CUTS = [
  "export.uploading",
  "export.recorded",
  "seal.manifest",
  "seal.sealed",
  "prune.started",
  "prune.started",
  "prune.deleted",
  "prune.committed",
  "prune.committed",
  "prune.published",
  "replace.recorded",
  "replace.sealed",
  "rewrite.uploaded",
  "rewrite.sealed",
  "reconcile.judged",
  "journal.created",
  "journal.published",
];

/** Numbers of [0, below). */
function dice(seed: number): (below: number) => number {
  let state = BigInt(seed) * 7_919n + 1n;
  return (below) => {
    state = (state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) % (1n << 64n);
    return Number((state >> 33n) % BigInt(below));
  };
}

/** A table, its archive, and what may happen to them. */
class Life implements AsyncDisposable {
  readonly scenario: Scenario;
  readonly #roll: (below: number) => number;
  readonly told: string[] = [];
  #nextId = 1;
  /** Since a rebuild and until the next run, rows that changed since their export may be shown as they were, too. */
  #isUnsettled = false;
  #hasBackup = false;

  constructor(scenario: Scenario, roll: (below: number) => number) {
    this.scenario = scenario;
    this.#roll = roll;
  }

  async begin(): Promise<void> {
    await this.#insert();
    await this.#run();
  }

  async step(): Promise<void> {
    const steps = [
      this.#insert,
      this.#insert,
      this.#change,
      this.#change,
      this.#run,
      this.#cut,
      this.#cut,
      this.#cut,
      this.#cutAndLose,
      this.#cutAndLose,
      this.#lose,
      this.#backUp,
      this.#putBack,
    ];
    await (steps[this.#roll(steps.length)] as (this: Life) => Promise<void>).call(this);
    const { lost, invented } = await retrievalDifference(this.scenario);
    expect(lost, this.told.join("; ")).toEqual([]);
    if (!this.#isUnsettled) expect(invented, this.told.join("; ")).toEqual([]);
  }

  async end(): Promise<void> {
    await this.#run();
    await expectSettled(this.scenario);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scenario[Symbol.asyncDispose]();
  }

  async #insert(): Promise<void> {
    const rows = 1 + this.#roll(130);
    const day = DUE[this.#roll(DUE.length)] as string;
    this.told.push(`insert ${rows} on ${day}`);
    await this.scenario.insert(auditRows(day, this.#nextId, rows));
    this.#nextId += rows;
  }

  /** An application can change what is in the table, and nothing else. */
  async #change(): Promise<void> {
    const hot = await this.scenario.query(`SELECT id::text FROM ${this.scenario.table} ORDER BY id`);
    if (hot.length === 0) return await this.#insert();
    const id = hot[this.#roll(hot.length)]?.["id"];
    const what = this.#roll(2) === 0 ? `message = 'changed'` : `ts = ts + interval '1 day'`;
    this.told.push(`${what} of ${id}`);
    await this.scenario.change((table) => `UPDATE ${table} SET ${what} WHERE id = ${id}`);
  }

  async #run(): Promise<void> {
    this.told.push("run");
    expect(await this.scenario.run(), this.told.join("; ")).toMatchObject({ state: "done", failures: [] });
    this.#isUnsettled = false;
    await expectNothingLost(this.scenario);
    await expectVerified(this.scenario);
  }

  async #cut(): Promise<void> {
    const place = `${CUTS[this.#roll(CUTS.length)]}:error@${1 + this.#roll(3)}`;
    this.told.push(`cut at ${place}`);
    await this.scenario.failuresOf({ environ: { FIRNLINE_FAILPOINT: place } });
    await expectVerified(this.scenario);
  }

  async #cutAndLose(): Promise<void> {
    await this.#cut();
    await this.#lose();
  }

  async #lose(): Promise<void> {
    this.told.push("lose the catalog");
    this.#hasBackup = false;
    await this.scenario.query("DROP SCHEMA IF EXISTS backup CASCADE");
    await loseCatalog(this.scenario);
    await this.#rebuild();
  }

  async #backUp(): Promise<void> {
    this.told.push("back the catalog up");
    await this.scenario.query("DROP SCHEMA IF EXISTS backup CASCADE");
    await backUpCatalog(this.scenario);
    this.#hasBackup = true;
  }

  async #putBack(): Promise<void> {
    if (!this.#hasBackup) return;
    this.told.push("put the backup of the catalog back");
    await restoreCatalog(this.scenario);
    await this.#rebuild();
  }

  async #rebuild(): Promise<void> {
    await using pipeline = this.scenario.open();
    await pipeline.rebuildCatalog({ isConfirmed: true });
    this.#isUnsettled = true;
    await expectVerified(this.scenario);
  }
}

describe("random histories", () => {
  test.concurrent.each(SEEDS)("of seed %i lose nothing, and end well", async (seed) => {
    await using life = new Life(await Scenario.create(), dice(seed));
    try {
      await life.begin();
      for (let step = 0; step < STEPS; step += 1) await life.step();
      await life.end();
    } catch (error) {
      throw new Error(`seed ${seed}: ${life.told.join("; ")}`, { cause: error });
    }
  });
});
