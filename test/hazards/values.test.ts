/**
 * Hazards 16, 18 and 28, and the keys: values at the edges of what their types hold, and orders that differ from that of
 * bytes. On the newest and the oldest server; every type by itself is in `types-*.test.ts` and `majors.test.ts`.
 */
import { expect, test } from "vitest";
import { AUDIT_LOGS, auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readArchive } from "../support/oracle.ts";
import { createDatabase, runAlone } from "../support/postgres.ts";
import { at, moved, NOTHING, Scenario } from "../support/scenario.ts";
import { onBoth } from "./on-both.ts";

/** The rows of each archived day. */
async function daysOf(scenario: Scenario): Promise<Record<string, number>> {
  const days: Record<string, number> = {};
  for (const { dayFrom, pruned } of (await readArchive(scenario)).segments)
    days[dayFrom] = (days[dayFrom] ?? 0) + pruned.length;
  return days;
}

/** Texts that a collation takes for equal, or puts in another order than their bytes. */
const TEXTS = `(ARRAY['', ' ', 'a', 'A', 'b', 'B', 'ä', 'Z', 'z', '_', 'é', 'e', U&'e\\0301', 'ß', 'ss', U&'\\FEFF', U&'\\+01F600',
  '''', '"', '\\', E'\\n', 'NULL', '%', '-', 'co-op', 'coop', 'İ', 'I', 'ı', 'i'])[1 + n % 30]`;

interface Key {
  readonly what: string;
  readonly ddl: string;
  readonly values: string;
  /** Of the database, UTF8 and C unless it says another. */
  readonly locale?: string;
}

const TS = `'2026-01-10 23:59:59.999994+00'::timestamptz - n % 7 * interval '1 microsecond'`;
const KEYS: readonly Key[] = [
  {
    what: "of a collation by which different texts are equal, and a number at its limits",
    ddl: `CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
      CREATE TABLE public.audit_logs (k text COLLATE public.loose, n bigint, ts timestamptz NOT NULL, PRIMARY KEY (k, n))`,
    values: `${TEXTS}, CASE n % 3 WHEN 0 THEN -9223372036854775808 + n WHEN 1 THEN 9223372036854775807 - n ELSE n END::bigint, ${TS}`,
  },
  {
    what: "of texts in a database that sorts them as people do",
    locale: "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C' ENCODING 'UTF8'",
    ddl: "CREATE TABLE public.audit_logs (k text PRIMARY KEY, ts timestamptz NOT NULL)",
    values: `${TEXTS} || n / 30, ${TS}`,
  },
  {
    what: "of a uuid, bytes, a date and a time of day",
    ddl: "CREATE TABLE public.audit_logs (u uuid, b bytea, d date, t time, ts timestamptz NOT NULL, PRIMARY KEY (u, b, d, t))",
    values: `md5((n / 9)::text)::uuid, decode(repeat(to_hex(n % 2 + 254), n % 3), 'hex'), '2000-01-01'::date + (n % 4 - 2) * 1000,
      CASE n WHEN 0 THEN '24:00' ELSE '00:00'::time + n * interval '719.000001 seconds' END, ${TS}`,
  },
];

onBoth("values", (server) => {
  async function create(key: Key): Promise<Scenario> {
    const options = { ddl: key.ddl, environ: { FIRNLINE_CHUNK_ROWS: "7", FIRNLINE_SEGMENT_MIB: "1024" } };
    if (key.locale === undefined) return await server.create(options);
    const home = await createDatabase(server.url());
    const name = `${home.name}_people`;
    await runAlone(home.url, `CREATE DATABASE ${name} TEMPLATE template0 ${key.locale}`);
    const drop = async (): Promise<void> => {
      await runAlone(home.url, `DROP DATABASE ${name} WITH (FORCE)`);
      await home[Symbol.asyncDispose]();
    };
    const scenario = await Scenario.on(
      { url: at(home.url, name), name, [Symbol.asyncDispose]: drop },
      options,
    );
    await scenario.prepare();
    return scenario;
  }

  test.each(KEYS)("of a key $what: each row is in one chunk, and comes back", async (key) => {
    await using scenario = await create(key);
    await scenario.insert(`SELECT ${key.values} FROM generate_series(0, 119) n ORDER BY hashint4(n)`);
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 120, pruned: 120 });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("of a time: the microseconds around midnight, and what is in no day at all, which stays and is told (28)", async () => {
    await using scenario = await server.create({
      ddl: AUDIT_LOGS.replace("ts timestamptz NOT NULL", "ts timestamptz"),
    });
    await scenario.insert(
      `VALUES (1, '2026-01-09 23:59:59.999999+00'::timestamptz), (2, '2026-01-10 00:00+00'), (3, '2026-01-10 00:00:00.000001+00'),
        (4, '2026-01-10 23:59:59.999999+00'), (5, '2026-01-11 00:00+00'), (6, '2026-01-29 23:59:59.999999+00'), (7, '2026-01-30 00:00+00'),
        (8, '0001-01-01 00:00+00'), (9, '9999-12-31 23:59:59.999999+00'),
        (101, 'infinity'), (102, '-infinity'), (103, NULL), (104, '0044-03-15 12:00+00 BC'), (105, '10000-01-01 00:00+00'),
        (106, '294276-12-31 23:59:59.999999+00'), (107, '4714-11-24 00:00+00 BC')`,
    );
    await scenario.run();
    expect(await daysOf(scenario)).toEqual({
      "0001-01-01": 1,
      "2026-01-09": 1,
      "2026-01-10": 3,
      "2026-01-11": 1,
      "2026-01-29": 1,
    });
    await using pipeline = scenario.open();
    expect((await pipeline.status()).census.leftovers).toEqual({
      nullTime: 1n,
      infiniteTime: 2n,
      outOfCalendar: 4n,
    });
    expect((await pipeline.doctor()).advice).toMatchObject([
      { code: "A_ROWS", fix: [expect.stringMatching(/^SELECT \* FROM "public"\."audit_logs" WHERE /)] },
    ]);
    await expectNothingLost(scenario, { leftover: "id > 100" });
    await expectSettled(scenario);
  });

  test("of more than Postgres can send at once keep their day where it is, and no other (16)", async () => {
    await using scenario = await server.create({
      ddl: `${AUDIT_LOGS}; ALTER TABLE public.audit_logs ADD large varbit`,
    });
    for (const [day, id] of [
      ["2026-01-10", 1],
      ["2026-01-11", 101],
    ] as const) {
      await scenario.insert(auditRows(day, id, 60).replace(" FROM", ", NULL::varbit FROM"));
    }
    // 1.1 billion bits, which are a text of as many characters.
    await scenario.query(
      "UPDATE audit_logs SET large = ('x' || repeat('0', 275000000))::varbit WHERE id = 7",
    );
    expect(await scenario.run()).toMatchObject({
      state: "partly",
      failures: [{ code: "E_TYPE", hint: expect.stringContaining("larger than the 1 GB") }],
      pruned: 60n,
    });
    expect(await scenario.count("id BETWEEN 1 AND 60")).toBe(60);
    await scenario.query("UPDATE audit_logs SET large = NULL WHERE id = 7");
    expect((await scenario.run()).state).toBe("done");
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });
});
