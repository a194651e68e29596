/** Rows of a leaf that change between their seal and the drop: exported anew, as what they are now. */
import { describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readJournal } from "../support/oracle.ts";
import { leaf, leavesOf, PARENT, tablesOf } from "../support/partitioned-logs.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";
import { connect } from "./connect.ts";

const JANUARY =
  leaf("public.january", "2026-01-01", "2026-02-01") + leaf("public.february", "2026-02-01", "2026-03-01");
/** The day on which January is wholly due. */
const LATER = "2026-03-03";

/** Two days of January, archived and waiting for the rest of the month. */
async function waiting(): Promise<Scenario> {
  const scenario = await Scenario.create({ ddl: PARENT + JANUARY });
  await scenario.insert(auditRows("2026-01-10", 1001, 130));
  await scenario.insert(auditRows("2026-01-11", 2001, 60));
  expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 190 });
  return scenario;
}

interface Change {
  readonly what: string;
  readonly apply: (scenario: Scenario) => Promise<void>;
  /** Rows that are archived anew, or for the first time. */
  readonly exported: number;
  readonly rows: number;
}

const CHANGES: readonly Change[] = [
  {
    what: "a row that came late",
    apply: async (s) => await s.insert(`VALUES (7, '2026-01-10 01:30+00', 'late', NULL, '{}'::jsonb)`),
    exported: 131,
    rows: 191,
  },
  {
    what: "a row that came after the last one of its day",
    apply: async (s) =>
      await s.insert(
        `VALUES (7, '2026-01-11 23:59:59.9999995+00'::timestamptz - interval '1 us', 'late', NULL, NULL)`,
      ),
    exported: 61,
    rows: 191,
  },
  {
    what: "rows of a day that had none",
    apply: async (s) => await s.insert(auditRows("2026-01-20", 5001, 20)),
    exported: 20,
    rows: 210,
  },
  {
    what: "a row that was updated",
    apply: async (s) => await s.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1100`),
    exported: 130,
    rows: 190,
  },
  {
    what: "updated rows of every chunk of a day",
    apply: async (s) => await s.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id < 2000`),
    exported: 130,
    rows: 190,
  },
  {
    what: "updated rows of both days",
    apply: async (s) =>
      await s.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id IN (1100, 2001)`),
    exported: 190,
    rows: 190,
  },
  {
    what: "a row that was deleted",
    apply: async (s) => await s.change((table) => `DELETE FROM ${table} WHERE id = 1100`),
    exported: 129,
    rows: 189,
  },
  {
    what: "a row that moved to another day",
    apply: async (s) =>
      await s.change((table) => `UPDATE ${table} SET ts = '2026-01-11 00:00:30+00' WHERE id = 1100`),
    exported: 190,
    rows: 190,
  },
  {
    what: "a row that moved to another leaf",
    apply: async (s) =>
      await s.change((table) => `UPDATE ${table} SET ts = '2026-02-20 12:00+00' WHERE id = 1100`),
    exported: 129,
    rows: 189,
  },
  {
    what: "all rows of a day deleted",
    apply: async (s) => await s.change((table) => `DELETE FROM ${table} WHERE id > 2000`),
    exported: 0,
    rows: 130,
  },
  {
    what: "a leaf that was truncated",
    apply: async (s) => {
      await s.query("TRUNCATE public.january; TRUNCATE truth.rows");
    },
    exported: 0,
    rows: 0,
  },
];

describe("what changed while it waited for its leaf is archived as it is now:", () => {
  test.concurrent.each(CHANGES)("$what", async ({ apply, exported, rows }) => {
    await using scenario = await waiting();
    await apply(scenario);
    await expectNothingLost(scenario);
    const run = await scenario.run({ asOf: LATER });
    expect(run).toMatchObject({ state: "done", failures: [], drift: [] });
    expect(moved(run)).toEqual({ ...NOTHING, exported, pruned: rows });
    expect(await leavesOf(scenario)).toEqual(["february"]);
    await expectNothingLost(scenario);
    await expectSettled(scenario, { asOf: LATER });
  });
});

test("a column that was added while it waited is archived with the rest", async () => {
  await using scenario = await waiting();
  for (const table of [scenario.table, "truth.rows"]) {
    await scenario.query(`ALTER TABLE ${table} ADD COLUMN extra text DEFAULT 'e'`);
  }
  const run = await scenario.run({ asOf: LATER });
  expect(run).toMatchObject({ state: "done", failures: [], drift: [] });
  expect(moved(run)).toEqual({ ...NOTHING, exported: 190, pruned: 190 });
  const { lines } = await scenario.retrieve();
  expect(lines.map((line) => (JSON.parse(line) as { extra: string }).extra)).toEqual(Array(190).fill("e"));
  await expectSettled(scenario, { asOf: LATER });
});

test("a row that is gone leaves a tombstone, as evidence", async () => {
  await using scenario = await waiting();
  await scenario.change((table) => `DELETE FROM ${table} WHERE id = 1100`);
  await scenario.run({ asOf: LATER });
  const tombstones = (await readJournal(scenario)).filter(({ event }) => event.type === "tombstoned");
  expect(tombstones.map(({ event }) => event["keys"])).toEqual([[[expect.any(String), "1100"]]]);
});

test("rows that never stand still are quarantined; their leaf stays until a person asks again", async () => {
  await using scenario = await waiting();
  await using writer = await connect(scenario.url);
  let writes = true;
  const writing = (async (): Promise<number> => {
    let count = 0;
    for (; writes; count += 1) {
      // By its own name: attached or not, somebody can reach it.
      await writer.query(
        "UPDATE public.january SET details = jsonb_build_object('touched', $1::int) WHERE id = 1100",
        [count],
      );
    }
    return count;
  })();
  const run = await scenario.run({ asOf: LATER, environ: { FIRNLINE_LOCK_TIMEOUT_MS: "20000" } });
  writes = false;
  expect(await writing).toBeGreaterThan(3);
  await scenario.query(
    "UPDATE truth.rows t SET details = j.details FROM public.january j WHERE t.id = 1100 AND j.id = 1100",
  );
  expect(run.state).toBe("partly");
  expect(run.drift).toEqual([
    expect.objectContaining({ leaf: expect.objectContaining({ name: "january" }), day: "2026-01-10" }),
  ]);
  // Detached, and still part of every answer.
  expect(await leavesOf(scenario)).toEqual(["february"]);
  expect(await tablesOf(scenario)).toEqual(["february", "january"]);
  await expectNothingLost(scenario);
  const again = await scenario.run({ asOf: LATER });
  expect({ ...moved(again), state: again.state }).toEqual({ ...NOTHING, state: "partly" });
  expect(again.plan.held.map(({ reason }) => reason)).toContainEqual(
    "waits for its leaf public.january, which has quarantined rows",
  );
  await using pipeline = scenario.open();
  const retried = await pipeline.run({ asOf: again.plan.asOf, retryQuarantined: true });
  expect(retried).toMatchObject({ state: "done", failures: [], drift: [], pruned: 190n });
  expect(await tablesOf(scenario)).toEqual(["february"]);
  await expectNothingLost(scenario);
  await expectSettled(scenario, { asOf: LATER });
});

test("a row that an index misses is not lost with the leaf (hazard 11)", async () => {
  await using scenario = await Scenario.create({
    ddl: `${PARENT} ${JANUARY} CREATE INDEX ON public.audit_logs (ts)`,
  });
  // While an index is marked as not ready, no entry is made: what corruption leaves behind.
  const indexes = (ready: boolean): string =>
    `UPDATE pg_index SET indisready = ${ready} WHERE indrelid = 'public.january'::regclass`;
  await scenario.insert(auditRows("2026-01-10", 1001, 1000));
  await scenario.query("ANALYZE public.audit_logs");
  await scenario.query(indexes(false));
  await scenario.insert(auditRows("2026-01-10", 9001, 1));
  await scenario.query(indexes(true));
  // As expensive as it can be made: only who insists reads the table itself.
  await scenario.query("VACUUM public.january");
  for (const setting of ["enable_seqscan = off", "seq_page_cost = 1e9", "cpu_tuple_cost = 1e6"]) {
    await scenario.query(`ALTER DATABASE ${scenario.database} SET ${setting}`);
  }
  const run = await scenario.run({ asOf: LATER });
  expect(run.failures).toEqual([
    expect.objectContaining({
      code: "E_DETACH",
      message:
        "E_DETACH public.january: its rows were exported 3 times and are others each time (default 2026-01-10: 1001 rows " +
        "found, 1000 exported). Is something writing into it, or is an index damaged (REINDEX TABLE)? Nothing was dropped.",
    }),
  ]);
  expect(await leavesOf(scenario)).toEqual(["february", "january"]);
  await scenario.query("REINDEX TABLE public.january");
  expect((await scenario.run({ asOf: LATER })).state).toBe("done");
  expect(await leavesOf(scenario)).toEqual(["february"]);
  await expectNothingLost(scenario);
});
