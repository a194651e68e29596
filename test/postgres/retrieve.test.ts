/** I8: an answer is complete, over hot, warm and cold, or it is refused and leaves nothing behind. */
import { createHash } from "node:crypto";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isFirnlineError } from "../../src/errors.ts";
import { createBusyDays, DELETABLE } from "../support/busy-days.ts";
import { DAMAGES, FLIPS, flipped, listArchive } from "../support/archive-damage.ts";
import { expectNothingLost, expectRetrievalComplete, readJournal } from "../support/oracle.ts";
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

/** Names in the scenario's folder besides the archive and the policy: answers, and what they left behind. */
async function leftBehind(scenario: Scenario): Promise<string[]> {
  return (await readdir(scenario.folder)).filter((name) => name !== "archive" && name !== "pipelines");
}

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
    expect(await leftBehind(scenario)).not.toContain("no.ndjson");
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
  });
});

describe("an archive that is damaged", () => {
  const damages = [
    ...Object.entries(DAMAGES).map(([what, damage]) => ({ what, damage })),
    ...FLIPS.map((place) => ({ what: `a bit flipped at ${place * 100}%`, damage: flipped(place) })),
  ];

  let scenario: Scenario;
  let sound: string;

  beforeAll(async () => {
    scenario = await threeTiers();
    sound = (await scenario.retrieve()).result.sha256;
    await rm((await scenario.retrieve()).out);
  });

  afterAll(async () => await scenario[Symbol.asyncDispose]());

  test.each([
    ...damages.map((one) => ({ ...one, tier: "warm", pattern: /dt=2026-01-10.*\.parquet$/ })),
    ...damages.slice(0, 6).map((one) => ({ ...one, tier: "cold", pattern: /dt=2025-12-29.*\.parquet$/ })),
    ...damages.map((one) => ({ ...one, tier: "manifest", pattern: /\/manifests\// })),
  ])("($tier, $what) gives no answer, or the right one", async ({ damage, pattern }) => {
    for (const name of await leftBehind(scenario)) await rm(join(scenario.folder, name));
    const path = (await listArchive(scenario)).find((file) => pattern.test(file)) as string;
    const bytes = await readFile(path);
    await damage(path);
    try {
      const outcome = await scenario.retrieve().catch((error: unknown) => error);
      if (outcome instanceof Error) {
        expect(isFirnlineError(outcome), String(outcome)).toBe(true);
        expect((outcome as Error & { code: string }).code).toMatch(/^E_(?:VERIFY|FORMAT|ARCHIVE)$/);
        expect(await leftBehind(scenario), "nothing is left behind").toEqual([]);
      } else {
        // Bytes that nobody read: statistics in the footer, or what follows after the pinned length.
        expect(outcome).toMatchObject({ result: { sha256: sound, rows: 500n } });
      }
    } finally {
      await rm(path, { force: true });
      await writeFile(path, bytes);
    }
    expect(await scenario.count("true", "firnline.pin")).toBe(0);
  });

  test.each(["removed", "truncated", "emptied"])(
    "is refused where an object or a manifest is %s",
    async (what) => {
      for (const pattern of [/dt=2026-01-10.*\.parquet$/, /dt=2025-12-29.*\.parquet$/, /\/manifests\//]) {
        const path = (await listArchive(scenario)).find((file) => pattern.test(file)) as string;
        const bytes = await readFile(path);
        await DAMAGES[what]?.(path);
        await expect(scenario.retrieve()).rejects.toMatchObject({ code: /^E_(?:VERIFY|FORMAT|ARCHIVE)$/ });
        await rm(path, { force: true });
        await writeFile(path, bytes);
      }
    },
  );

  test("does not touch an earlier answer of the same name", async () => {
    for (const name of await leftBehind(scenario)) await rm(join(scenario.folder, name));
    const out = join(scenario.folder, "answer.ndjson");
    await writeFile(out, "the earlier answer\n");
    const [object] = await listArchive(scenario, ".parquet");
    await DAMAGES["removed"]?.(object as string);
    const { code, stderr } = await scenario.spawn([
      "retrieve",
      "audit-logs",
      "--from",
      "2025-12-01",
      "--to",
      "2026-02-28",
      "--out",
      out,
    ]).ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/E_VERIFY .*is gone/) });
    expect(await readFile(out, "utf8")).toBe("the earlier answer\n");
    expect(await leftBehind(scenario)).toEqual(["answer.ndjson"]);
  });
});

describe("a retrieval that is killed", () => {
  /** Waits until the answer's temporary file has more than so many bytes; false once the process has ended. */
  async function grown(scenario: Scenario, ended: Promise<unknown>, bytes: number): Promise<boolean> {
    let isOver = false;
    void ended.then(() => (isOver = true));
    while (!isOver) {
      const partial = (await leftBehind(scenario)).find((name) => name.endsWith(".partial"));
      if (partial !== undefined && (await stat(join(scenario.folder, partial))).size >= bytes) return true;
    }
    return false;
  }

  test.each([
    ["while it waits for a restore", 0, { FIRNLINE_FILE_RESTORE_DELAY_MS: "600000" }],
    ["while it writes", 1, {}],
  ])("%s leaves no file under the final name (fault 9)", async (_when, bytes, environ) => {
    await using scenario = await threeTiers();
    // Enough to write for a while: 20 MB.
    await scenario.insert(
      `SELECT 100000 + n, '2026-02-21 00:00+00'::timestamptz + n * interval '1 millisecond', 'x', repeat(md5(n::text), 32)
       FROM generate_series(1, 20000) n`,
    );
    const out = join(scenario.folder, "answer.ndjson");
    const args = ["retrieve", "audit-logs", "--from", "2025-12-01", "--to", "2026-02-28", "--out", out];
    await using retrieval = scenario.spawn(args, environ);
    expect(await grown(scenario, retrieval.ended, bytes)).toBe(true);
    retrieval.signal("SIGKILL");
    expect(await retrieval.ended).toMatchObject({ signal: "SIGKILL" });
    expect(await leftBehind(scenario)).toEqual([expect.stringMatching(/^answer\.ndjson\..*\.partial$/)]);

    // Nothing of it is in the way of anybody.
    const again = await scenario.spawn(args).ended;
    expect(again).toMatchObject({ code: 0 });
    expect((await readFile(out, "utf8")).trimEnd().split("\n")).toHaveLength(20_500);
    expect(moved(await scenario.run()).pruned).toBe(0);
  });
});

describe("a run during a retrieval", () => {
  /** Retrieves everything, over and over, until the run is over; each answer must be the truth. */
  async function retrieveDuring(
    scenario: Scenario,
    run: Promise<unknown>,
  ): Promise<{ answers: number; refused: string[] }> {
    let isOver = false;
    void run.finally(() => (isOver = true));
    const refused: string[] = [];
    let answers = 0;
    while (!isOver) {
      try {
        await expectRetrievalComplete(scenario);
        answers += 1;
      } catch (error) {
        if (!isFirnlineError(error)) throw error;
        refused.push(error.code);
      }
    }
    return { answers, refused };
  }

  const select = (day: string, id: number): string =>
    `SELECT ${id} + n, '${day} 00:00+00'::timestamptz + n * interval '9 minutes', 'x' FROM generate_series(0, 149) n`;
  const environ = { FIRNLINE_CHUNK_ROWS: "10", FIRNLINE_ROW_GROUP_ROWS: "30", FIRNLINE_PRUNE_CHUNKS: "1" };

  test("moves every row under it, and every answer has each row once", async () => {
    await using scenario = await Scenario.create({ environ, tiers: { warm: { keep: "3650d" } } });
    for (let day = 5; day <= 12; day += 1)
      await scenario.insert(select(`2026-01-${String(day).padStart(2, "0")}`, day * 1000));
    // A first run, so that the pipeline is known.
    await scenario.run({ asOf: "2026-02-06" });
    const run = scenario.spawnRun().ended;
    const { answers, refused } = await retrieveDuring(scenario, run);
    expect(await run).toMatchObject({ code: 0 });
    expect(refused).toEqual([]);
    expect(answers).toBeGreaterThan(3);
    await expectNothingLost(scenario);
  });

  test("may take objects to a cold class under it: then it is complete, or refused", async () => {
    await using scenario = await Scenario.create({ environ });
    for (let day = 5; day <= 12; day += 1)
      await scenario.insert(select(`2025-12-${String(day).padStart(2, "0")}`, day * 1000));
    await scenario.run({ asOf: "2026-01-20" });
    const run = scenario.spawnRun().ended;
    const { answers, refused } = await retrieveDuring(scenario, run);
    expect(await run).toMatchObject({ code: 0 });
    expect(new Set(refused).difference(new Set(["E_COLD"]))).toEqual(new Set());
    expect(answers).toBeGreaterThan(0);
    await expectNothingLost(scenario);
  });
});

describe("--where", () => {
  const COLUMNS: Readonly<Record<string, readonly [type: string, values: readonly string[]]>> = {
    b: ["boolean", ["true", "false"]],
    i2: ["smallint", ["-32768", "7"]],
    i4: ["integer", ["-2147483648", "7"]],
    i8: ["bigint", ["9007199254740993", "-9223372036854775808"]],
    f4: ["real", ["0", "-0", "NaN", "1.1"]],
    f8: ["double precision", ["0", "-0", "NaN", "Infinity", "0.1"]],
    d: ["numeric(12,2)", ["1.50", "-0.01"]],
    num: ["numeric", ["1.500", "1e30", "NaN"]],
    tz: ["timestamptz", ["2026-01-01 00:00:00.000001+00", "infinity"]],
    tl: ["timestamp", ["2026-01-01 00:00:00.5", "-infinity"]],
    day: ["date", ["2026-02-28", "0044-03-15 BC"]],
    t: ["time", ["13:05:00.000001", "24:00:00"]],
    u: ["uuid", ["6F9619FF-8B86-D011-B42D-00C04FC964FF"]],
    bytes: ["bytea", ["\\x00ff", ""]],
    txt: ["text", ["a=b", "", "ä 'quoted' \"\\", "NULL"]],
    v3: ["varchar(3)", ["abc", "äöü"]],
    c5: ["character(5)", ["ab", "abcde"]],
    mood: ["public.mood", ["calm", "it's"]],
    ip: ["inet", ["10.0.0.1/32", "fe80::1/64"]],
  };
  /** Asked for besides the values that are there: must be as absent, or as present, as Postgres says. */
  const MORE: Readonly<Record<string, readonly string[]>> = {
    v3: ["abcd", "abc "],
    c5: ["ab   ", "abcdef", "abcde "],
    d: ["1.5", "1.504", "01.50"],
    num: ["1.5", "1000000000000000000000000000000.0"],
    i4: [" 7", "8"],
    b: ["t", "no"],
    tz: ["2026-01-01T01:00:00.000001+01:00"],
    ip: ["10.0.0.1"],
    txt: ["a", "null"],
    f8: ["1e-1", "-inf"],
  };
  let scenario: Scenario;

  beforeAll(async () => {
    const list = Object.entries(COLUMNS).map(([name, [type]]) => `${name} ${type}`);
    scenario = await Scenario.create({
      ddl: `CREATE TYPE public.mood AS ENUM ('calm', 'it''s');
        CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ts timestamptz NOT NULL, ${list.join(", ")})`,
    });
    let id = 1;
    for (const day of ["2026-01-10", "2026-02-20"]) {
      for (let index = 0; index < 5; index += 1) {
        // The last row of a day has nothing but NULLs.
        const values = Object.values(COLUMNS).map(([type, all]) => {
          const value = index === 4 ? undefined : all[index % all.length];
          return value === undefined ? `NULL::${type}` : `'${value.replaceAll("'", "''")}'::${type}`;
        });
        await scenario.insert(`VALUES (${id}, '${day} 10:00+00'::timestamptz, ${values.join(", ")})`);
        id += 1;
      }
    }
    expect(moved(await scenario.run())).toMatchObject({ pruned: 5 });
  });

  afterAll(async () => await scenario[Symbol.asyncDispose]());

  const cases = Object.entries(COLUMNS).flatMap(([name, [, values]]) =>
    [...values, ...(MORE[name] ?? [])].map((value) => ({ name, value })),
  );
  test.each(cases)("$name=$value finds what Postgres finds, hot and archived", async ({ name, value }) => {
    const expected = await scenario.query(
      `SELECT id::int FROM truth.rows WHERE ${name} = '${value.replaceAll("'", "''")}' ORDER BY ts, id`,
    );
    const { lines } = await scenario.retrieve({ where: [`${name}=${value}`] });
    expect(ids(lines)).toEqual(expected.map(({ id }) => Number(id)));
  });

  test("takes several, of which all must hold", async () => {
    const { lines } = await scenario.retrieve({ where: ["i2=7", "txt="] });
    expect(ids(lines)).toEqual(
      (await scenario.query("SELECT id::int FROM truth.rows WHERE i2 = 7 AND txt = ''")).map(({ id }) => id),
    );
  });

  test.each([
    ["nothing=1", /no such column/],
    ["i4=seven", /not a value of type integer/],
    ["u=1", /not a value of type uuid/],
    ["mood=angry", /not a value/],
    ["i4=1); DROP TABLE public.audit_logs; --", /not a value/],
  ])("refuses %s", async (where, message) => {
    const error = await scenario.retrieve({ where: [where] }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "E_INPUT" });
    expect((error as Error).message).toMatch(message);
    expect(await scenario.count()).toBe(5);
  });
});
