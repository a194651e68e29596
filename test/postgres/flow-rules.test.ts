/** Rules: disjoint, complete, each with its own retention; rows that are deleted are counted in the journal. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readArchive, readJournal } from "../support/oracle.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

/** Conditions that are NULL for many rows, overlap, and hold what SQL could be confused by. */
const RULES = [
  { name: "denied", when: "action = 'access_denied'", hot: "5d", archive: false },
  { name: "odd", when: "(details ->> 'n')::int % 2 = 1", hot: "10d" },
  { name: "not_login", when: "NOT (action = 'login') OR message LIKE '%7%; --'", hot: "20d" },
  { name: "quoted", when: `message = 'it''s "quoted" -- /* no comment */'` },
];
/** The same, as first match wins and NULL is no match; in order. */
const CASE = `CASE WHEN action = 'access_denied' THEN 'denied' WHEN (details ->> 'n')::int % 2 = 1 THEN 'odd'
  WHEN NOT (action = 'login') OR message LIKE '%7%; --' THEN 'not_login'
  WHEN message = 'it''s "quoted" -- /* no comment */' THEN 'quoted' ELSE 'default' END`;
const DELETABLE = "action = 'access_denied'";
const DAYS = ["2026-01-25", "2026-02-08", "2026-02-18", "2026-02-23", "2026-02-27"];

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({ rules: RULES, environ: { FIRNLINE_DELETE_ROWS: "7" } });
  const action = "(ARRAY['login', 'access_denied', NULL, 'logout', NULL])[1 + n % 5]";
  for (const [index, day] of DAYS.entries()) {
    await template.insert(auditRows(day, 1 + index * 1000, 90, action));
    await template.insert(
      `SELECT ${index * 1000 + 500} + n, '${day} 12:00+00'::timestamptz, 'login',
         (ARRAY['it''s "quoted" -- /* no comment */', NULL])[1 + n % 2], (ARRAY[NULL, '{}', '{"n": "2"}'])[1 + n % 3]::jsonb
       FROM generate_series(0, 11) n`,
    );
  }
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** Rows by rule and day that are at least as old as each rule's retention, as Postgres sees it. */
async function dueRows(scenario: Scenario): Promise<Record<string, number>> {
  const rows = await scenario.query(
    `SELECT rule || ' ' || day AS name, count(*)::int AS rows
     FROM (SELECT ${CASE} AS rule, (ts AT TIME ZONE 'UTC')::date AS day FROM truth.rows) r
     WHERE day + 1 + (CASE rule WHEN 'denied' THEN 5 WHEN 'odd' THEN 10 WHEN 'not_login' THEN 20 ELSE 30 END) <= '2026-03-01'
     GROUP BY 1 ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, rows: count }) => [name, Number(count)]));
}

test("every row is in exactly one rule, and goes when that rule lets it go", async () => {
  await using scenario = await template.copy();
  const due = await dueRows(scenario);
  expect(new Set(Object.keys(due).map((name) => name.split(" ")[0]))).toEqual(
    new Set(["denied", "odd", "not_login", "quoted", "default"]),
  );
  const summary = await scenario.run();
  const deleted = Object.fromEntries(Object.entries(due).filter(([name]) => name.startsWith("denied ")));
  const archived = Object.fromEntries(Object.entries(due).filter(([name]) => !name.startsWith("denied ")));
  const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);
  expect(moved(summary)).toEqual({
    exported: sum(archived),
    pruned: sum(archived),
    deleted: sum(deleted),
    cooled: 0,
  });
  const found: Record<string, number> = {};
  const archive = await readArchive(scenario);
  for (const { rule, dayFrom, pruned } of archive.segments) {
    found[`${rule} ${dayFrom}`] = (found[`${rule} ${dayFrom}`] ?? 0) + pruned.length;
  }
  expect(found).toEqual(archived);
  expect(archive.deleted).toEqual(deleted);
  expect(await scenario.count()).toBe(DAYS.length * 102 - sum(due));
  await expectNothingLost(scenario, { deletable: DELETABLE });
  await expectSettled(scenario);
});

test("a delete-only rule journals one entry a day, with count and range", async () => {
  await using scenario = await template.copy();
  await scenario.run();
  const entries = (await readJournal(scenario)).filter(({ event }) => event.type === "deleted");
  const expected = await scenario.query(
    `SELECT (ts AT TIME ZONE 'UTC')::date::text AS day, count(*)::text AS rows,
            to_char(min(ts) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS first,
            to_char(max(ts) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS last
     FROM truth.rows WHERE ${DELETABLE} AND ts < '2026-02-24 00:00+00' GROUP BY 1 ORDER BY 1`,
  );
  expect(entries).toHaveLength(4);
  for (const [index, { event }] of entries.entries()) {
    const { day, rows, first, last } = expected[index] as Record<string, string>;
    expect(event).toEqual({
      type: "deleted",
      rule: "denied",
      day,
      rows,
      from: expect.stringContaining(first as string),
      to: expect.stringContaining(last as string),
    });
  }
});

describe("rows that come late", () => {
  test("go into a further segment at the next run, and are retrieved before and after it", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    const day = DAYS[0] as string;
    const segments = (await readArchive(scenario)).segments.filter(({ dayFrom }) => dayFrom === day);
    await scenario.insert(
      `VALUES (70001, '${day} 00:00:00+00'::timestamptz, 'login', 'late, first of its day', '{"n": 0}'::jsonb),
              (70002, '${day} 13:00:00+00', 'login', 'late', NULL),
              (70003, '${day} 23:59:59.999999+00', NULL, NULL, '{"n": 1}'),
              (70004, '${day} 13:00:00+00', 'access_denied', NULL, NULL)`,
    );
    // The application may also move a row there.
    await scenario.change((table) => `UPDATE ${table} SET ts = '${day} 06:00+00' WHERE id = 4001`);
    await expectNothingLost(scenario, { deletable: DELETABLE });
    const plan = await scenario.plan();
    expect(plan.steps.map(({ rule, day: _, reason, rows }) => [rule, Number(rows), reason])).toEqual([
      ["default", 3, "3 rows came in after the day was pruned"],
      ["denied", 1, expect.stringMatching(/the day ended/)],
      ["odd", 1, "1 row came in after the day was pruned"],
    ]);
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 4, pruned: 4, deleted: 1 });
    const after = (await readArchive(scenario)).segments.filter(({ dayFrom }) => dayFrom === day);
    expect(after.length).toBe(segments.length + 2);
    await expectNothingLost(scenario, { deletable: DELETABLE });
    await expectSettled(scenario);
  });

  test("come with the next run where the day is still being pruned", async () => {
    await using scenario = await template.copy();
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.committed:error" } });
    await expect(failing).rejects.toThrow("failpoint");
    // After every key of the partition, so that no sealed range is concerned but the last.
    const [open] = await scenario.query("SELECT rule, day_from::text AS day FROM firnline.segment LIMIT 1");
    await scenario.insert(
      `VALUES (70001, '${open?.["day"]} 11:00+00'::timestamptz, 'login', 'late', '{"n": 0}'::jsonb)`,
    );
    await scenario.run();
    await scenario.run();
    await expectNothingLost(scenario, { deletable: DELETABLE });
  });
});

test("a rule that leaves the policy keeps its archived rows readable, and the rest falls to other rules", async () => {
  await using scenario = await template.copy();
  await scenario.run({ asOf: "2026-02-20" });
  await using changed = await Scenario.over(scenario, { rules: RULES.filter(({ name }) => name !== "odd") });
  await changed.run();
  await expectNothingLost(changed, { deletable: DELETABLE });
  await expectSettled(changed);
});
