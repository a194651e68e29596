/** Hazard 4, fault lines 18, 19 and 22: a clone or a restored copy shares the archive. One goes on, and adoption says which. */
import { createHash, randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openFileArchive } from "../../src/archive/file/file-archive.ts";
import type { Archive } from "../../src/archive/port.ts";
import { startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import type { RebuildResult } from "../../src/repair/rebuild.ts";
import { systemClock } from "../../src/wiring.ts";
import { archiveContents, listArchive } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { copyDataDirectory } from "../support/data-directory.ts";
import {
  expectNothingLost,
  expectRetrievalComplete,
  expectSettled,
  readJournal,
  readRows,
} from "../support/oracle.ts";
import { at, type OpenAs, Scenario } from "../support/scenario.ts";
import { expectVerified, verify } from "../support/verified.ts";

const STOPPED = { code: "E_OWNER" };

async function adopt(scenario: Scenario, as: OpenAs = {}): Promise<RebuildResult> {
  await using pipeline = scenario.open(as);
  return await pipeline.adopt({ isConfirmed: true });
}

/** The scenario's folder, for `count` writers that create nothing before each of them is about to. */
function gates(scenario: Scenario, count: number): Archive[] {
  const everybody = Promise.withResolvers<void>();
  let coming = count;
  return Array.from({ length: count }, () => {
    const options = { root: scenario.archive, now: systemClock.now, random: randomBytes, restoreDelayMs: 0 };
    return new Proxy<Archive>(openFileArchive(options), {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        if (name !== "create") return value.bind(target);
        return async (...args: Parameters<Archive["create"]>) => {
          coming -= 1;
          if (coming <= 0) everybody.resolve();
          await everybody.promise;
          return await target.create(...args);
        };
      },
    });
  });
}

/** Neither moves a row nor answers, nor changes the archive. */
async function expectStopped(scenario: Scenario): Promise<void> {
  const state = async (): Promise<unknown> => ({
    rows: await readRows(scenario, scenario.table),
    archive: Object.entries(await archiveContents(scenario)).map(
      ([path, bytes]) => `${basename(path)} ${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}`,
    ),
  });
  const before = await state();
  await expect(scenario.run()).rejects.toMatchObject(STOPPED);
  await expect(scenario.retrieve()).rejects.toMatchObject(STOPPED);
  expect(await state()).toEqual(before);
}

async function expectWell(scenario: Scenario): Promise<void> {
  await expectNothingLost(scenario);
  await expectSettled(scenario);
  await expectVerified(scenario);
}

describe("a copy of the database under another name", () => {
  let template: Scenario;

  beforeAll(async () => {
    template = await Scenario.create();
    await template.insert(auditRows("2026-01-05", 1, 170));
    await template.insert(auditRows("2026-01-29", 1001, 120));
    await template.insert(auditRows("2026-02-20", 5001, 10));
  });

  afterAll(async () => await template[Symbol.asyncDispose]());

  /** An owner that has moved the first day, and a copy from before it moved the second. */
  async function clone(): Promise<{ owner: Scenario; copy: Scenario } & AsyncDisposable> {
    const owner = await template.copy();
    await owner.run({ asOf: "2026-02-10" });
    const database = await owner.copy();
    const copy = Scenario.elsewhere(owner, database.url);
    return {
      owner,
      copy,
      async [Symbol.asyncDispose]() {
        await copy.disconnect();
        await database[Symbol.asyncDispose]();
        await owner[Symbol.asyncDispose]();
      },
    };
  }

  test("must say that it wants the archive", async () => {
    await using both = await clone();
    await using pipeline = both.copy.open();
    await expect(pipeline.adopt()).rejects.toMatchObject({
      code: "E_INPUT",
      problem: expect.stringMatching(/would belong to this database.*; the catalog holds its state up to/),
      hint: expect.stringContaining("--yes"),
    });
    await expectStopped(both.copy);
  });

  test("adopts it, goes on in the owner's place, and the owner stops", async () => {
    await using both = await clone();
    const { owner, copy } = both;
    await owner.run();
    await expectStopped(copy);
    expect((await verify(copy)).findings[0]).toMatch(/^E_OWNER /);
    const before = await readJournal(owner);
    const adopted = await adopt(copy);
    const entry = (await readJournal(copy)).at(-1);
    const last = before.at(-1) as (typeof before)[number];
    const source = before[0]?.event["source"];
    expect(entry).toMatchObject({ n: last.n + 1, run: expect.stringMatching(/^adopt /) });
    expect(entry?.event).toMatchObject({ type: "adopted", archiveId: adopted.archiveId, previous: source });
    expect(entry?.event["source"]).not.toEqual(source);
    expect(adopted).toMatchObject({ adoptedFrom: source, rowsUnknown: 120n });
    // What the owner moved after the copy was made is in the copy's table again.
    await expectRetrievalComplete(copy);
    expect(await copy.run()).toMatchObject({ state: "done", exported: 0n, pruned: 120n });
    await expectWell(copy);
    await expectStopped(owner);
    // And back, whatever the owner did meanwhile.
    await adopt(owner);
    await owner.run();
    await expectWell(owner);
    await expectStopped(copy);
  });

  test("that is cut after it rebuilt its catalog has adopted it when its next run begins", async () => {
    await using both = await clone();
    const { owner, copy } = both;
    const failing = adopt(copy, { environ: { FIRNLINE_FAILPOINT: "adopt.rebuilt:error" } });
    await expect(failing).rejects.toThrow("failpoint adopt.rebuilt");
    const types = async (): Promise<string[]> => (await readJournal(owner)).map(({ event }) => event.type);
    expect(await types()).not.toContain("adopted");
    expect((await copy.run()).state).toBe("done");
    expect((await types()).filter((type) => type === "adopted")).toHaveLength(1);
    await expectWell(copy);
    await expectStopped(owner);
  });

  test("that is cut, and whose owner goes on, has lost", async () => {
    await using both = await clone();
    const { owner, copy } = both;
    const failing = adopt(copy, { environ: { FIRNLINE_FAILPOINT: "adopt.rebuilt:error" } });
    await expect(failing).rejects.toThrow("failpoint adopt.rebuilt");
    expect((await owner.run()).state).toBe("done");
    await expectStopped(copy);
    await expectWell(owner);
  });

  test("of two that adopt at once one wins", async () => {
    await using both = await clone();
    const { owner, copy } = both;
    await using third = await owner.copy();
    const other = Scenario.elsewhere(owner, third.url);
    const [left, right] = gates(owner, 2) as [Archive, Archive];
    const results = await Promise.allSettled([
      adopt(copy, { archive: left }),
      adopt(other, { archive: right }),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(results.find(({ status }) => status === "rejected")).toMatchObject({ reason: STOPPED });
    const [winner, loser] = results[0]?.status === "fulfilled" ? [copy, other] : [other, copy];
    await expectStopped(loser);
    expect((await winner.run()).state).toBe("done");
    await expectWell(winner);
    await expectStopped(loser);
    await expectStopped(owner);
    await other.disconnect();
  });

  test("does not adopt an archive that is damaged", async () => {
    await using both = await clone();
    const [manifest] = (await listArchive(both.owner)).filter((path) => path.includes("/manifests/"));
    await rm(manifest as string);
    await expect(adopt(both.copy)).rejects.toMatchObject({ code: "E_VERIFY" });
    expect((await readJournal(both.owner)).map(({ event }) => event.type)).not.toContain("adopted");
  });
});

describe("a copy of the disk", () => {
  test("with the same identity: the first to run goes on, the other stops, and adoption changes that", async () => {
    await using first = await startEmbeddedPostgres({ durable: true });
    await using second = await startEmbeddedPostgres({ durable: true });
    await using original = await Scenario.on({
      url: at(first.url(), "postgres"),
      name: "postgres",
      [Symbol.asyncDispose]: async () => {},
    });
    await original.prepare();
    await original.insert(auditRows("2026-01-05", 1, 70));
    await original.insert(auditRows("2026-01-29", 1001, 120));
    await original.run({ asOf: "2026-02-10" });
    await original.disconnect();
    await Promise.all([first.kill("SIGINT"), second.kill("SIGINT")]);
    await copyDataDirectory(first.dataDirectory, second.dataDirectory);
    await Promise.all([first.restart(), second.restart()]);
    const url = new URL(original.url);
    url.port = String(second.port);
    const clone = Scenario.elsewhere(original, url.href);

    expect((await clone.run()).state, "the copy is the first").toBe("done");
    await expectStopped(original);
    await adopt(original);
    await expectRetrievalComplete(original);
    expect((await original.run()).state).toBe("done");
    await expectWell(original);
    await expectStopped(clone);
    await clone.disconnect();
  });

  test("put back: a restore to a point in time loses nothing that was archived, and doubles nothing", async () => {
    await using server = await startEmbeddedPostgres({ durable: true });
    await using scenario = await Scenario.on({
      url: at(server.url(), "postgres"),
      name: "postgres",
      [Symbol.asyncDispose]: async () => {},
    });
    await scenario.prepare();
    await scenario.insert(auditRows("2025-12-20", 1, 70));
    await scenario.insert(auditRows("2026-01-05", 1001, 170));
    await scenario.insert(auditRows("2026-01-29", 2001, 120));
    await scenario.run({ asOf: "2026-02-05" });
    await scenario.disconnect();
    const backup = `${server.dataDirectory}.backup`;
    await server.kill("SIGINT");
    await copyDataDirectory(server.dataDirectory, backup);
    await server.restart();

    // After the backup: a day is moved, rows come late into a day that was moved before, and into one of their own.
    await scenario.insert(auditRows("2026-01-05", 3001, 30));
    await scenario.insert(auditRows("2026-01-20", 4001, 60));
    await scenario.run();
    await scenario.disconnect();
    await server.kill("SIGINT");
    await copyDataDirectory(backup, server.dataDirectory);
    await server.restart();

    await expectStopped(scenario);
    // The truth was restored too, and must remember what was true after it.
    await scenario.query(`INSERT INTO truth.rows ${auditRows("2026-01-05", 3001, 30)}`);
    await scenario.query(`INSERT INTO truth.rows ${auditRows("2026-01-20", 4001, 60)}`);
    {
      await using pipeline = scenario.open();
      expect(await pipeline.rebuildCatalog({ isConfirmed: true })).toMatchObject({ rowsUnknown: 120n });
    }
    await expectRetrievalComplete(scenario);
    expect(await scenario.run()).toMatchObject({ state: "done", exported: 0n, pruned: 120n });
    await expectWell(scenario);
  });
});
