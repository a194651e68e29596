/** I8: an answer is complete, over hot, warm and cold, or it is refused and leaves nothing behind. */
import { createHash } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createBusyDays, DELETABLE } from "../support/busy-days.ts";
import { DAMAGES, listArchive } from "../support/archive-damage.ts";
import { expectRetrievalComplete, readJournal } from "../support/oracle.ts";
import { moved, Scenario } from "../support/scenario.ts";

let template: Scenario;

beforeAll(async () => {
  template = await createBusyDays();
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** A copy whose rows have moved: 50 hot, 320 warm and 130 cold ones. */
async function threeTiers(): Promise<Scenario> {
  const scenario = await template.copy();
  await scenario.run();
  return scenario;
}

const ids = (lines: readonly string[]): number[] =>
  lines.map((line) => (JSON.parse(line) as { id: number }).id);

describe("an answer over all tiers", () => {
  test("waits for cold segments to be restored, once", async () => {
    await using scenario = await threeTiers();
    const environ = { FIRNLINE_FILE_RESTORE_DELAY_MS: "300" };
    const { result, lines } = await scenario.retrieve({ environ });
    expect(result).toMatchObject({ rows: 500n, rowsFrom: { hot: 50n, warm: 320n, cold: 130n }, restored: 2 });
    expect(result).toMatchObject({ collapsed: 0n, conflicting: 0n });
    expect(lines).toHaveLength(500);
    const again = await scenario.retrieve({ environ });
    expect(again.result).toMatchObject({ rows: 500n, restored: 0, sha256: result.sha256 });
    await expectRetrievalComplete(scenario, { deletable: DELETABLE });
  });

  test("comes in order of time and key, in a private file with the digest that is told", async () => {
    await using scenario = await threeTiers();
    const { result, lines, out } = await scenario.retrieve();
    const rows = lines.map((line) => JSON.parse(line) as { ts: string; id: number });
    expect(rows).toEqual(rows.toSorted((a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : a.id - b.id)));
    const bytes = await readFile(out);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(result.sha256);
    expect(BigInt(bytes.length)).toBe(result.bytes);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
  });

  test("is asked for on the command line, and exit code 10 says that there is nothing", async () => {
    await using scenario = await threeTiers();
    const ask = async (from: string, to: string, out: string): Promise<number | null> =>
      (await scenario.spawn(["retrieve", "audit-logs", "--from", from, "--to", to, "--out", out]).ended).code;
    const [full, empty] = [join(scenario.folder, "full.ndjson"), join(scenario.folder, "empty.ndjson")];
    expect(await ask("2025-12-01", "2026-02-28", full)).toBe(0);
    expect((await readFile(full, "utf8")).trimEnd().split("\n")).toHaveLength(500);
    expect(await ask("2024-01-01", "2024-12-31", empty)).toBe(10);
    expect(await readFile(empty, "utf8")).toBe("");
    expect(await ask("2026-02-02", "2026-02-01", join(scenario.folder, "no.ndjson"))).toBe(2);
    expect(await scenario.answers()).not.toContain("no.ndjson");
  });

  test("is itself in the journal after the next run, and a refused one is not", async () => {
    await using scenario = await threeTiers();
    const { result } = await scenario.retrieve({
      from: "2026-01-10",
      to: "2026-01-10",
      where: ["action=login"],
    });
    const [object] = await listArchive(scenario, ".parquet");
    const bytes = await readFile(object as string);
    await DAMAGES["removed"]?.(object as string);
    await expect(scenario.retrieve()).rejects.toThrow(/E_/);
    await writeFile(object as string, bytes);
    expect((await readJournal(scenario)).filter(({ event }) => event.type === "retrieved")).toEqual([]);
    await scenario.run();
    const retrieved = (await readJournal(scenario)).filter(({ event }) => event.type === "retrieved");
    expect(retrieved.map(({ event }) => event)).toEqual([
      {
        type: "retrieved",
        retrieval: result.retrieval,
        requestedBy: "a test",
        from: "2026-01-10T00:00:00.000000Z",
        to: "2026-01-11T00:00:00.000000Z",
        where: [{ column: "action", value: "login" }],
        rows: result.rows.toString(),
        sha256: result.sha256,
      },
    ]);
    const states = await scenario.query("SELECT state FROM firnline.retrieval ORDER BY created_at");
    expect(states).toEqual([{ state: "done" }, { state: "failed" }]);
    expect(await scenario.count("true", "firnline.pin")).toBe(0);
  });
});

describe("a range", () => {
  /** On a cold, a warm and a hot day: the first, a middle and the last microsecond. */
  const DAYS = { cold: "2025-12-29", warm: "2026-01-10", hot: "2026-02-20" };
  let scenario: Scenario;

  beforeAll(async () => {
    scenario = await Scenario.create();
    for (const [tier, day] of Object.values(DAYS).entries()) {
      await scenario.insert(`VALUES (${tier * 10 + 1}, '${day} 00:00:00+00'::timestamptz), (${tier * 10 + 2}, '${day} 12:00:00+00'),
        (${tier * 10 + 3}, '${day} 23:59:59.999999+00')`);
    }
    expect(moved(await scenario.run())).toMatchObject({ pruned: 6, cooled: 3 });
  });

  afterAll(async () => await scenario[Symbol.asyncDispose]());

  test.each([
    ["2025-12-29", "2025-12-29", [1, 2, 3]],
    ["2026-01-10", "2026-01-10", [11, 12, 13]],
    ["2026-02-20", "2026-02-20", [21, 22, 23]],
    ["2025-12-30", "2026-02-19", [11, 12, 13]],
    ["2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z", [11, 12, 13]],
    ["2026-01-10T00:00:00Z", "2026-01-10T23:59:59.999999Z", [11, 12]],
    ["2026-01-10T00:00:00.000001Z", "2026-01-10", [12, 13]],
    ["2026-01-10T12:00:00Z", "2026-01-10T12:00:00.000001Z", [12]],
    ["2026-01-10T13:30:00+01:30", "2026-01-10T13:30:00.000001+01:30", [12]],
    ["2026-01-10T12:00:00.000001Z", "2026-01-10T23:59:59.999999Z", []],
    ["2025-12-29T23:59:59.999999Z", "2026-01-10T00:00:00.000001Z", [3, 11]],
    ["2026-01-10T23:59:59.999999Z", "2026-02-20T00:00:00.000001Z", [13, 21]],
    ["0001-01-01", "9999-12-31", [1, 2, 3, 11, 12, 13, 21, 22, 23]],
  ])("from %s to %s holds %j", async (from, to, expected) => {
    expect(ids((await scenario.retrieve({ from, to })).lines)).toEqual(expected);
  });

  test("asks for a restore of the cold days only where it touches them", async () => {
    const environ = { FIRNLINE_FILE_RESTORE_DELAY_MS: "1" };
    const { result } = await scenario.retrieve({ from: "2025-12-30", to: "2026-02-28", environ });
    expect(result.restored).toBe(0);
  });
});

describe("rows that are in two places", () => {
  test("come out once where they are the same: a table that was restored from a backup (fault 21)", async () => {
    await using scenario = await threeTiers();
    await scenario.query(
      "INSERT INTO public.audit_logs SELECT * FROM truth.rows WHERE id BETWEEN 1 AND 1100",
    );
    const { result, lines } = await scenario.retrieve();
    expect(result).toMatchObject({ rows: 500n, collapsed: 230n, conflicting: 0n });
    expect(new Set(ids(lines)).size).toBe(500);
    await expectRetrievalComplete(scenario, { deletable: DELETABLE });
    // The next run takes them for late rows. They are the same still.
    expect(moved(await scenario.run())).toMatchObject({ exported: 230, pruned: 230 });
    expect((await scenario.retrieve()).result).toMatchObject({ rows: 500n, collapsed: 230n });
    await expectRetrievalComplete(scenario, { deletable: DELETABLE });
  });

  test("both come out where a key was used again with other content (hazard 15)", async () => {
    await using scenario = await threeTiers();
    await scenario.query(
      "INSERT INTO public.audit_logs SELECT id, ts, 'another', message, details FROM truth.rows WHERE id = 1005",
    );
    await scenario.insert("VALUES (1, '2026-02-14 00:00+00'::timestamptz, 'used again')");
    const { result, lines } = await scenario.retrieve();
    expect(result).toMatchObject({ rows: 502n, collapsed: 0n, conflicting: 2n });
    const rows = lines.map((line) => JSON.parse(line) as { id: number; action: string });
    expect(
      rows
        .filter(({ id }) => id === 1005)
        .map(({ action }) => action)
        .sort(),
    ).toEqual(["another", "login"]);
    expect(rows.filter(({ id }) => id === 1)).toHaveLength(2);
    // A filter's answer tells of its own rows: what it does not give out conflicts with nothing.
    const { result: filtered, lines: ofFilter } = await scenario.retrieve({ where: ["action=another"] });
    expect(filtered).toMatchObject({ rows: 1n, collapsed: 0n, conflicting: 0n });
    expect(ids(ofFilter)).toEqual([1005]);
  });
});
