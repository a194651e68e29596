/** A run that keeps to its pace on a real server: where it rests, what it holds meanwhile, and whom it gives way to. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { Clock } from "../../src/environment.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { Database } from "../../src/postgres/database.ts";
import { readWrites } from "../../src/hot/postgres/writes.ts";
import type { RunSummary } from "../../src/stages/run-pipeline.ts";
import { writesOfOthers } from "../../src/stages/pace.ts";
import { systemClock } from "../../src/wiring.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost } from "../support/oracle.ts";
import { AS_OF, instantOf, moved, Scenario } from "../support/scenario.ts";

const ALWAYS = { FIRNLINE_PACE_PERCENT: "1", FIRNLINE_PACE_WRITES: "0", FIRNLINE_CONCURRENCY: "1" };
/** Nobody renews a lease within the test: a heartbeat sleeps for longer than any rest. */
const REST_MS_MAX = 15_000;
const LOOKS_MS: ReadonlySet<number> = new Set([250, 500]);

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({
    rules: [{ name: "noise", when: "action = 'noise'", hot: "30d", archive: false }],
    environ: { FIRNLINE_SEGMENT_MIB: "1024" },
  });
  await template.insert(auditRows("2026-01-10", 1, 400));
  await template.insert(auditRows("2026-01-10", 1001, 100, "'noise'"));
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** A millisecond passes whenever somebody looks, and nothing else takes time. `onRest` is called in each rest. */
function clockOf(onRest: (ms: number, signal?: AbortSignal) => Promise<void>): Clock {
  let nowMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => (nowMs += 1),
    sleep: async (ms, signal) => {
      if (ms > REST_MS_MAX) return await systemClock.sleep(ms, signal);
      // What is looked at meanwhile would make turns long.
      if (!LOOKS_MS.has(ms)) nowMs += ms;
      await onRest(ms, signal);
    },
  };
}

async function runOf(
  scenario: Scenario,
  clock: Clock,
  environ: Record<string, string>,
  signal = new AbortController().signal,
): Promise<RunSummary> {
  await using pipeline = new Pipeline({
    policy: scenario.policy,
    connectionString: scenario.urlFor("pruner"),
    settings: scenario.settings(environ),
    clock,
  });
  return await pipeline.run({ asOf: instantOf(AS_OF), backfill: true, confirmSooner: false, signal });
}

describe("a run that rests", () => {
  test("does so between the chunks of an export, and between deleting transactions, and never in one", async () => {
    await using scenario = await template.copy();
    await using looker = await Looker.open(scenario.url);
    const rests = { export: 0, other: 0 };
    const clock = clockOf(async () => {
      const { modes, writing } = await looker.look();
      expect(writing).toBe(0);
      // An export has its snapshot and the lock that SELECT takes; nothing else has any.
      expect(modes.filter((mode) => mode !== "AccessShareLock")).toEqual([]);
      if (modes.length > 0) rests.export += 1;
      else rests.other += 1;
    });
    expect(moved(await runOf(scenario, clock, ALWAYS))).toMatchObject({
      exported: 400,
      pruned: 400,
      deleted: 100,
    });
    // Eight chunks of 50; two in a deleting transaction at most, one in the first; 20 rows of the rule in each.
    expect(rests.export).toBeGreaterThanOrEqual(7);
    expect(rests.other).toBeGreaterThanOrEqual(4 + 4);
    await expectNothingLost(scenario, { deletable: "action = 'noise'" });
  });

  test("does so between the row groups that it reads back", async () => {
    await using scenario = await template.copy();
    await using over = await Scenario.over(scenario, { prune: "off", rules: [] });
    await using looker = await Looker.open(scenario.url);
    let rests = 0;
    const clock = clockOf(async () => {
      // Of an export, which has the table, all are encoded when the first is read back.
      if ((await looker.look()).modes.length === 0) rests += 1;
    });
    expect(moved(await runOf(over, clock, ALWAYS))).toMatchObject({ exported: 500, pruned: 0 });
    // Five row groups of 100.
    expect(rests).toBeGreaterThanOrEqual(5);
  });

  test("stops in the middle of a rest, and the next one goes on", async () => {
    await using scenario = await template.copy();
    const stop = new AbortController();
    let rests = 0;
    const clock = clockOf(async (_, signal) => {
      rests += 1;
      if (rests < 12) return;
      stop.abort();
      signal?.throwIfAborted();
    });
    await expect(runOf(scenario, clock, ALWAYS, stop.signal)).rejects.toThrow("E_INTERRUPTED");
    expect(rests).toBe(12);
    expect((await scenario.run()).state).toBe("done");
    expect(await scenario.count()).toBe(0);
    await expectNothingLost(scenario, { deletable: "action = 'noise'" });
  });
});

describe("others who write", () => {
  const often = { FIRNLINE_PACE_PERCENT: "1", FIRNLINE_PACE_WRITES: "1", FIRNLINE_CONCURRENCY: "1" };

  test("are given way to", async () => {
    await using scenario = await template.copy();
    await using writer = await Looker.open(scenario.url);
    const rests: number[] = [];
    const clock = clockOf(async (ms) => {
      rests.push(ms);
      await writer.write();
      await writer.write();
    });
    await runOf(scenario, clock, often);
    expect(rests.filter((ms) => !LOOKS_MS.has(ms))).not.toEqual([]);
  });

  test("are not looked for at 100 percent", async () => {
    await using scenario = await template.copy();
    const rests: number[] = [];
    const clock = clockOf(async (ms) => void (await Promise.resolve(rests.push(ms))));
    await runOf(scenario, clock, { ...often, FIRNLINE_PACE_PERCENT: "100" });
    expect(rests).toEqual([]);
  });

  test("are counted by a role that may do nothing else, and our own are taken off", async () => {
    await using scenario = await template.copy();
    await using writer = await Looker.open(scenario.url);
    const role = `nobody_${scenario.database}`;
    await writer.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    try {
      const url = new URL(scenario.url);
      [url.username, url.password] = [role, "x"];
      await using database = databaseOf(url.href);
      await using own = databaseOf(scenario.url);
      const before = await readWrites(database);
      for (let count = 0; count < 20; count += 1) await writer.write();
      for (let count = 0; count < 30; count += 1) {
        await own.query("INSERT INTO public.audit_logs SELECT -$1::int, '2026-02-28'", [count]);
      }
      // Other tests write to the same server.
      expect(Number(writesOfOthers(before, await readWrites(database)))).toBeGreaterThanOrEqual(50);
      expect(own.writes).toEqual({ begun: 30n, ended: 30n });
      expect(database.writes).toEqual({ begun: 0n, ended: 0n });
    } finally {
      await writer.query(`DROP ROLE ${role}`);
    }
  });

  test("of ours, those count that were rolled back too", async () => {
    await using database = databaseOf(template.url);
    const failing = database.query("SELECT 1 / 0");
    await expect(failing).rejects.toThrow("E_DATABASE");
    expect(database.writes).toEqual({ begun: 1n, ended: 1n });
    await database.transaction("read write", "test", async () => {
      expect(await Promise.resolve(database.writes)).toEqual({ begun: 2n, ended: 1n });
    });
  });
});

function databaseOf(connectionString: string): Database {
  return new Database({
    connectionString,
    applicationName: "a test",
    connectionsMax: 2,
    lockTimeoutMs: 1_000,
    copySilenceMs: 10_000,
    statementMs: 10_000,
    idleInTransactionMs: 10_000,
  });
}

/** Another session. */
class Looker implements AsyncDisposable {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<Looker> {
    const client = new pg.Client(url);
    await client.connect();
    return new Looker(client);
  }

  async query(text: string): Promise<pg.QueryResult> {
    return await this.#client.query(text);
  }

  /** The locks on the table, and how many sessions of the run are in a transaction that writes. */
  async look(): Promise<{ modes: string[]; writing: number }> {
    const { rows } = await this.#client.query<{ modes: string[]; writing: number }>(
      `SELECT (SELECT coalesce(array_agg(DISTINCT mode), '{}') FROM pg_locks
               WHERE relation = 'public.audit_logs'::regclass AND pid <> pg_backend_pid()) AS modes,
              (SELECT count(*)::int FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL) AS writing`,
    );
    return rows[0] as { modes: string[]; writing: number };
  }

  async write(): Promise<void> {
    await this.#client.query("SELECT pg_current_xact_id()");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }
}
