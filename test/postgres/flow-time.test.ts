/** A row's day is its UTC day, whatever a session, a database or a zone thinks (I11, hazard 28, fault 43). */
import { describe, expect, test } from "vitest";
import { AUDIT_LOGS, auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readArchive } from "../support/oracle.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

/** The rows of each archived day, as times in UTC. */
async function daysOf(scenario: Scenario): Promise<Record<string, number>> {
  const days: Record<string, number> = {};
  for (const { dayFrom, pruned } of (await readArchive(scenario)).segments) {
    days[dayFrom] = (days[dayFrom] ?? 0) + pruned.length;
  }
  return days;
}

test("microseconds around midnight fall into the right days", async () => {
  await using scenario = await Scenario.create();
  const times = [
    "2026-01-09 23:59:59.999999",
    "2026-01-10 00:00:00",
    "2026-01-10 00:00:00.000001",
    "2026-01-10 23:59:59.999998",
    "2026-01-10 23:59:59.999999",
    "2026-01-11 00:00:00",
    "2026-01-29 23:59:59.999999",
    "2026-01-30 00:00:00",
  ];
  for (const [id, ts] of times.entries()) await scenario.insert(`VALUES (${id}, '${ts}+00'::timestamptz)`);
  await scenario.run();
  expect(await daysOf(scenario)).toEqual({
    "2026-01-09": 1,
    "2026-01-10": 4,
    "2026-01-11": 1,
    "2026-01-29": 1,
  });
  expect(await scenario.query("SELECT id FROM public.audit_logs")).toEqual([{ id: "7" }]);
  await expectNothingLost(scenario);
});

test.each([
  ["2026-02-28T23:59:59.999999Z", 0],
  ["2026-03-01T00:00:00Z", 1],
  ["2026-03-01T00:59:59+01:00", 0],
  ["2026-03-01T01:00:00+01:00", 1],
])("at %s the 29th of January is due %i times", async (asOf, due) => {
  await using scenario = await Scenario.create();
  await scenario.insert(auditRows("2026-01-29", 1, 3));
  expect((await scenario.plan({ asOf })).steps).toHaveLength(due);
});

test("settings of the database and of the role change nothing", async () => {
  await using scenario = await Scenario.create();
  await scenario.insert(auditRows("2026-01-10", 1, 60));
  await scenario.insert(auditRows("2026-01-11", 1001, 60));
  await scenario.query(`
    CREATE SCHEMA evil;
    CREATE TABLE evil.audit_logs (id bigint, ts timestamptz);
    CREATE FUNCTION evil.count(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';`);
  for (const setting of [
    "TimeZone = 'Pacific/Kiritimati'",
    "DateStyle = 'German, DMY'",
    "bytea_output = 'escape'",
    "IntervalStyle = 'sql_standard'",
    "extra_float_digits = -15",
    "search_path = evil, pg_catalog",
    "client_encoding = 'LATIN1'",
    "standard_conforming_strings = off",
    "default_transaction_read_only = on",
    "default_transaction_isolation = serializable",
    "xmloption = 'document'",
    "enable_seqscan = off",
  ]) {
    await scenario.query(`ALTER DATABASE ${scenario.database} SET ${setting}`);
  }
  expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 120, pruned: 120 });
  expect(await daysOf(scenario)).toEqual({ "2026-01-10": 60, "2026-01-11": 60 });
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

describe("times that belong to no day", () => {
  test("stay in the table and are reported", async () => {
    await using scenario = await Scenario.create({
      ddl: AUDIT_LOGS.replace("ts timestamptz NOT NULL", "ts timestamptz"),
    });
    await scenario.insert(auditRows("2026-01-10", 1, 20));
    await scenario.insert(`VALUES (101, 'infinity'::timestamptz), (102, '-infinity'), (103, NULL), (104, '0044-03-15 12:00+00 BC'),
      (105, '10000-01-01 00:00+00'), (106, '294276-12-31 23:59:59.999999+00'), (107, '4714-11-24 00:00+00 BC')`);
    // The very edges of the calendar are days like any other.
    await scenario.insert(
      `VALUES (201, '0001-01-01 00:00+00'::timestamptz), (202, '9999-12-31 23:59:59.999999+00')`,
    );
    expect(moved(await scenario.run())).toEqual({ exported: 21, pruned: 21, deleted: 0, cooled: 1 });
    expect(await daysOf(scenario)).toEqual({ "0001-01-01": 1, "2026-01-10": 20 });
    await using pipeline = scenario.open();
    const { leftovers } = (await pipeline.status()).census;
    expect(leftovers).toEqual({ nullTime: 1n, infiniteTime: 2n, outOfCalendar: 4n });
    await expectNothingLost(scenario, { leftover: "id BETWEEN 101 AND 107" });
    await expectSettled(scenario);
  });
});

describe("a plain timestamp in Europe/Berlin", () => {
  const DDL = `CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ts timestamp NOT NULL, action text);
    CREATE INDEX ON public.audit_logs (ts)`;
  /** A row every 10 minutes of local time, with the hours that come twice and never. */
  const around = (day: string, id: number): string =>
    `SELECT ${id} + n, '${day} 00:00'::timestamp - interval '26 hours' + n * interval '10 minutes', 'x'
     FROM generate_series(0, 6 * 76 - 1) n`;

  test("is cut at midnight UTC, across both changes of the clock", async () => {
    await using scenario = await Scenario.create({ ddl: DDL, source: { zone: "Europe/Berlin" } });
    await scenario.insert(around("2025-03-30", 0));
    await scenario.insert(around("2025-10-26", 10_000));
    await scenario.run();
    expect(await scenario.count()).toBe(0);
    for (const { dayFrom, pruned } of (await readArchive(scenario)).segments) {
      // The limits of a day are instants; between them lie exactly the local times that are read so.
      const [inside] = await scenario.query(
        `SELECT count(*)::int AS rows FROM jsonb_array_elements($1::jsonb) row
         WHERE timestamp 'epoch' + (row ->> 1)::bigint * interval '1 microsecond'
           >= ($2::date::timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'Europe/Berlin'
         AND timestamp 'epoch' + (row ->> 1)::bigint * interval '1 microsecond'
           < (($2::date + 1)::timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'Europe/Berlin'`,
        [`[${pruned.join(",")}]`, dayFrom],
      );
      expect(inside, dayFrom).toEqual({ rows: pruned.length });
    }
    expect(Object.keys(await daysOf(scenario)).length).toBe(9);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("is answered day by day without a gap and without a row twice", async () => {
    await using scenario = await Scenario.create({ ddl: DDL, source: { zone: "Europe/Berlin" } });
    await scenario.insert(around("2025-10-26", 10_000));
    await scenario.run();
    const seen: string[] = [];
    for (const day of ["2025-10-24", "2025-10-25", "2025-10-26", "2025-10-27", "2025-10-28"]) {
      seen.push(...(await scenario.retrieve({ from: day, to: day })).lines);
    }
    expect(seen.map((line) => (JSON.parse(line) as { id: number }).id)).toEqual(
      Array.from({ length: 6 * 76 }, (_, n) => 10_000 + n),
    );
  });
});
