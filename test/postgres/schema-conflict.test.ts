/** Changes of a table's definition that one answer cannot cover, and rows that are in two places under two definitions. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isFirnlineError } from "../../src/errors.ts";
import { listArchive } from "../support/archive-damage.ts";
import { insertRows, night } from "../support/nights.ts";
import { Scenario } from "../support/scenario.ts";

const amounts = (lines: readonly string[]): unknown[] =>
  lines.map((line) => (JSON.parse(line) as { amount: unknown }).amount);

describe("a column whose types cannot be united", () => {
  let template: Scenario;

  beforeAll(async () => {
    template = await Scenario.create({
      ddl: "CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ts timestamptz NOT NULL, amount integer)",
    });
    await insertRows(template, "VALUES (1, '2026-01-05 00:00+00', 1), (2, '2026-01-06 00:00+00', 2)");
    await night(template, 2);
    await template.query("ALTER TABLE public.audit_logs ALTER amount TYPE text");
    await insertRows(
      template,
      "VALUES (3, '2026-01-07 00:00+00', 'three'), (4, '2026-02-20 00:00+00', 'four')",
    );
    await night(template, 1);
  });
  afterAll(async () => await template[Symbol.asyncDispose]());

  test("is refused with both types and the segments, and nothing is left behind", async () => {
    const before = await template.answers();
    const segments = (await listArchive(template, ".parquet")).map((path) =>
      path.split("/").at(-1)?.slice(0, -8),
    );
    const error = await template.retrieve().catch((thrown: unknown) => thrown);
    expect(isFirnlineError(error, "E_SCHEMA")).toBe(true);
    expect((error as Error).message).toBe(
      "E_SCHEMA public.audit_logs.amount: no type holds all of its values as they are: it is text in the table and " +
        `segment ${segments[2]} (2026-01-07); integer in segments ${segments[0]} (2026-01-05), ${segments[1]} ` +
        "(2026-01-06). Retrieve the days before and after the change apart; where the table still has rows of older " +
        "days, what is archived of those days can be read from the Parquet files.",
    );
    expect(await template.answers()).toEqual(before);
    expect(await template.count("true", "firnline.pin")).toBe(0);
  });

  test("can be retrieved before the change and after it, as the message says", async () => {
    const before = await template.retrieve({ to: "2026-01-06" });
    expect(amounts(before.lines)).toEqual([1, 2]);
    const after = await template.retrieve({ from: "2026-01-07" });
    expect(amounts(after.lines)).toEqual(["three", "four"]);
  });

  test("is refused before a cold segment is restored, and so is a column that is not there", async () => {
    await template.run({ asOf: "2026-03-08" });
    const asked = async (): Promise<string[]> =>
      (await readdir(join(template.archive, "audit_logs"), { recursive: true })).filter((name) =>
        name.endsWith(".firnline.json"),
      );
    const sidecars = await asked();
    expect(sidecars.length).toBeGreaterThan(0);
    const restored = async (): Promise<string[]> => {
      const found = await Promise.all(
        (await asked()).map(async (name) => {
          const text = await readFile(join(template.archive, "audit_logs", name), "utf8");
          return (JSON.parse(text) as { restored: unknown }).restored === null ? [] : [name];
        }),
      );
      return found.flat();
    };
    await expect(template.retrieve({ to: "2026-01-31" })).rejects.toMatchObject({ code: "E_SCHEMA" });
    await expect(template.retrieve({ to: "2026-01-06", where: ["nothing=1"] })).rejects.toMatchObject({
      code: "E_INPUT",
    });
    expect(await restored()).toEqual([]);
    expect((await template.retrieve({ to: "2026-01-06" })).result).toMatchObject({ rows: 2n, restored: 2 });
    expect(await restored()).not.toEqual([]);
  });
});

describe("rows that came back to the table since its definition changed", () => {
  const DDL =
    "CREATE TABLE public.audit_logs (id integer PRIMARY KEY, ts timestamptz NOT NULL, n numeric(6,2), v char(3))";

  /** Two rows archived, the table changed, and both inserted again as a backup would have them. */
  async function comeBack(change: string): Promise<Scenario> {
    const scenario = await Scenario.create({ ddl: DDL });
    await insertRows(
      scenario,
      "VALUES (1, '2026-01-05 00:00+00', 1.5, 'a'), (2, '2026-01-05 00:00+00', NULL, 'b')",
    );
    await scenario.query("CREATE TABLE public.backup AS TABLE public.audit_logs");
    await night(scenario, 2);
    await insertRows(scenario, "TABLE public.backup");
    await scenario.query(change);
    return scenario;
  }

  test("come out once where a column became wider: they are compared in the united type", async () => {
    await using scenario = await comeBack(
      "ALTER TABLE public.audit_logs ALTER id TYPE bigint, ALTER n TYPE numeric(10,4), ALTER v TYPE text",
    );
    const { result, lines } = await scenario.retrieve();
    expect(result).toMatchObject({ rows: 2n, collapsed: 2n, conflicting: 0n });
    expect(lines).toEqual([
      '{"id":1,"ts":"2026-01-05T00:00:00.000000Z","n":1.5000,"v":"a"}',
      '{"id":2,"ts":"2026-01-05T00:00:00.000000Z","n":null,"v":"b"}',
    ]);
  });

  test("come out twice where a column was added with a default, or renamed: nothing is hidden", async () => {
    for (const [change, added] of [
      ["ADD COLUMN extra text DEFAULT 'x'", ["extra", null, "x"]],
      ["RENAME COLUMN v TO w", ["w", null, "a  "]],
    ] as const) {
      await using scenario = await comeBack(`ALTER TABLE public.audit_logs ${change}`);
      const { result, lines } = await scenario.retrieve();
      expect(result).toMatchObject({ rows: 4n, collapsed: 0n, conflicting: 4n });
      const [name, ...values] = added;
      const found = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(found.filter(({ id }) => id === 1).map((row) => row[name])).toEqual(
        expect.arrayContaining(values),
      );
    }
  });
});

test("a key that was renamed is refused while the table has rows of the range, and answered where it has none", async () => {
  await using scenario = await Scenario.create({
    ddl: "CREATE TABLE public.audit_logs (id integer PRIMARY KEY, ts timestamptz NOT NULL)",
  });
  await insertRows(scenario, "VALUES (2, '2026-01-05 00:00+00'), (1, '2026-01-05 00:00+00')");
  await night(scenario, 2);
  await scenario.query("ALTER TABLE public.audit_logs RENAME id TO event_id");
  await insertRows(scenario, "VALUES (3, '2026-02-20 00:00+00')");
  await expect(scenario.retrieve()).rejects.toMatchObject({
    code: "E_SCHEMA",
    subject: "key of public.audit_logs",
    problem: expect.stringMatching(/^it is \(event_id\) in the table; \(id\) in segment /),
  });
  const { lines } = await scenario.retrieve({ to: "2026-02-19" });
  expect(lines).toEqual([
    '{"event_id":null,"ts":"2026-01-05T00:00:00.000000Z","id":1}',
    '{"event_id":null,"ts":"2026-01-05T00:00:00.000000Z","id":2}',
  ]);
  expect((await scenario.retrieve({ from: "2026-02-20" })).lines).toEqual([
    '{"event_id":3,"ts":"2026-02-20T00:00:00.000000Z"}',
  ]);
});
