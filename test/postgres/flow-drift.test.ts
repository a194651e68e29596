/** Fault matrix, lines 33 to 35: rows that the application changes between the seal and the delete. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readArchive } from "../support/oracle.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

/** Six chunks of at most 50 rows, ids 1001 to 1260, in one segment; batches of up to four chunks. */
const DAY = "2026-01-10";
const ROWS = 260;
const ENVIRON = { FIRNLINE_SEGMENT_MIB: "1024", FIRNLINE_PRUNE_CHUNKS: "4" };

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({ environ: ENVIRON });
  await template.insert(auditRows(DAY, 1001, ROWS));
  await template.insert(auditRows("2026-02-20", 5001, 10));
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** A copy whose day is sealed and not pruned: the run ended right before its first DELETE. */
async function sealed(): Promise<Scenario> {
  const scenario = await template.copy();
  const run = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
  await expect(run).rejects.toThrow("failpoint prune.started");
  return scenario;
}

/** The rows of chunk `index`, as a condition. */
const chunk = (index: number): string => `id BETWEEN ${1001 + index * 50} AND ${1050 + index * 50}`;

interface Change {
  readonly what: string;
  readonly apply: (scenario: Scenario) => Promise<void>;
  readonly chunks: readonly number[];
  readonly reason: RegExp;
}

const CHANGES: readonly Change[] = [
  {
    what: "a row that was updated",
    apply: async (s) => await s.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1120`),
    chunks: [2],
    reason: /column message changed/,
  },
  {
    what: "a NULL that became an empty text",
    apply: async (s) => await s.change((table) => `UPDATE ${table} SET message = '' WHERE id = 1001`),
    chunks: [0],
    reason: /column message changed/,
  },
  {
    what: "two rows that swapped their contents",
    apply: async (s) =>
      await s.change(
        (table) => `UPDATE ${table} SET details = jsonb_build_object('swapped', id) WHERE id IN (1201, 1260)`,
      ),
    chunks: [4, 5],
    reason: /column details changed/,
  },
  {
    what: "a row that the application deleted",
    apply: async (s) => await s.change((table) => `DELETE FROM ${table} WHERE id = 1160`),
    chunks: [3],
    reason: /1 rows? (?:is|are) gone/,
  },
  {
    what: "a row that came into a sealed range",
    apply: async (s) =>
      await s.insert(`VALUES (7, '${DAY} 01:30:00+00'::timestamptz, 'late', NULL, '{}'::jsonb)`),
    chunks: [1],
    reason: /1 row came in after the export/,
  },
  {
    what: "a row that came in before the first one of its day",
    apply: async (s) => await s.insert(`VALUES (0, '${DAY} 00:00:00+00'::timestamptz, 'late', NULL, NULL)`),
    chunks: [0],
    reason: /1 row came in after the export/,
  },
  {
    what: "a row with another key",
    apply: async (s) => await s.change((table) => `UPDATE ${table} SET id = 90000 WHERE id = 1055`),
    chunks: [1],
    reason: /column id changed/,
  },
  {
    what: "a row that moved into another chunk",
    apply: async (s) =>
      await s.change(
        (table) =>
          `UPDATE ${table} SET ts = (SELECT ts FROM ${table} WHERE id = 1210) + interval '1 microsecond' WHERE id = 1010`,
      ),
    chunks: [0, 4],
    reason: /gone since the export|came in after the export/,
  },
  {
    what: "a row that moved to a day that is not due",
    apply: async (s) =>
      await s.change((table) => `UPDATE ${table} SET ts = '2026-02-25 12:00+00' WHERE id = 1260`),
    chunks: [5],
    reason: /1 rows? (?:is|are) gone/,
  },
];

describe("the rows that a DELETE hands back are not the archived ones:", () => {
  test.concurrent.each(CHANGES)("$what", async ({ apply, chunks, reason }) => {
    await using scenario = await sealed();
    await apply(scenario);
    const before = await scenario.count();
    const summary = await scenario.run();
    expect(summary.state).toBe("partly");
    expect(summary.drift.map((one) => one.chunk)).toEqual(chunks);
    for (const drift of summary.drift)
      expect(drift).toMatchObject({ day: DAY, reason: expect.stringMatching(reason) });
    // The other chunks of the segment are gone, the drifted ones are hot as a whole.
    const drifted = chunks.reduce((sum, index) => sum + (index === 5 ? 10 : 50), 0);
    expect(moved(summary)).toEqual({ ...NOTHING, pruned: ROWS - drifted });
    expect(await scenario.count()).toBe(before - (ROWS - drifted));
    const ofDrifted = chunks.map(chunk).join(" OR ");
    expect(await scenario.count(ofDrifted)).toBe(await scenario.count(ofDrifted, "truth.rows"));
    await expectNothingLost(scenario);

    // It stays so: a later run deletes nothing of it either, and says so again.
    const again = await scenario.run();
    expect({ ...moved(again), state: again.state }).toEqual({ ...NOTHING, state: "partly" });
    await expectNothingLost(scenario);
  });

  test.concurrent("a chunk that is again what was archived goes with the next run", async () => {
    await using scenario = await sealed();
    await scenario.query("UPDATE public.audit_logs SET message = message || '!' WHERE id = 1121");
    expect((await scenario.run()).drift).toHaveLength(1);
    await scenario.query("UPDATE public.audit_logs SET message = left(message, -1) WHERE id = 1121");
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, pruned: 50 });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test.concurrent("the command says so with exit code 3 and names the place", async () => {
    await using scenario = await template.copy();
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.started:pause" });
    await run.stopped();
    await scenario.change((table) => `UPDATE ${table} SET action = 'tampered' WHERE id = 1120`);
    run.resume();
    const { code, stdout } = await run.ended;
    expect(code).toBe(3);
    for (const part of ["drift", "2026-01-10 default", "column action changed", "chunk 2"]) {
      expect(stdout).toContain(part);
    }
    await expectNothingLost(scenario);
  });

  test.concurrent("an update that is not committed yet is waited for, and seen", async () => {
    await using scenario = await sealed();
    await scenario.query("BEGIN; UPDATE public.audit_logs SET message = 'changed' WHERE id = 1120");
    const run = scenario.run({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "20000" } });
    await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 15_000 });
    await scenario.query("UPDATE truth.rows SET message = 'changed' WHERE id = 1120; COMMIT");
    expect((await run).drift.map(({ chunk: index }) => index)).toEqual([2]);
    await expectNothingLost(scenario);
  });

  test.concurrent("a lock that is not let go of fails the run, and deletes nothing of that chunk", async () => {
    await using scenario = await sealed();
    await scenario.query("BEGIN; SELECT FROM public.audit_logs WHERE id = 1120 FOR UPDATE");
    const run = scenario.run({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "50", FIRNLINE_ATTEMPTS: "2" } });
    await expect(run).rejects.toMatchObject({ code: "E_DATABASE", problem: /lock timeout/ });
    await scenario.query("COMMIT");
    expect(await scenario.count(chunk(2))).toBe(50);
    await expectNothingLost(scenario);
    expect((await scenario.run()).state).toBe("done");
    await expectSettled(scenario);
  });
});

test("drift does not keep the rows of other days", async () => {
  await using scenario = await template.copy();
  await scenario.insert(auditRows("2026-01-09", 1, 60));
  await scenario.insert(auditRows("2026-01-11", 8001, 60));
  await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.started:pause@2" });
  await run.stopped();
  await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1001`);
  run.resume();
  expect(await run.ended).toMatchObject({ code: 3 });
  const pruned = (await readArchive(scenario)).segments.map((one) => [one.dayFrom, one.pruned.length]);
  expect(pruned).toEqual([
    ["2026-01-09", 60],
    [DAY, ROWS - 50],
    ["2026-01-11", 60],
  ]);
  await expectNothingLost(scenario);
});
