/** verify: whatever is wrong is found, where it is, and what is right is not blamed. */
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VerifyOptions } from "../../src/repair/verify.ts";
import { archiveContents, type Damage, DAMAGES, flipped, listArchive } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, readJournal, readRows } from "../support/oracle.ts";
import { Scenario } from "../support/scenario.ts";
import { expectVerified, verify } from "../support/verified.ts";

let scenario: Scenario;
/** Everything that a damage may change, to be put back after it. */
let whole: Record<string, string>;

beforeAll(async () => {
  const rules = [{ name: "noise", when: "action = 'noise'", hot: "30d", archive: false }];
  scenario = await Scenario.create({ rules });
  await scenario.insert(auditRows("2025-12-20", 1, 70));
  await scenario.insert(auditRows("2026-01-05", 1001, 170));
  await scenario.insert(auditRows("2026-01-05", 1501, 20, "'noise'"));
  await scenario.insert(auditRows("2026-01-29", 2001, 120));
  await scenario.insert(auditRows("2026-02-20", 5001, 10));
  // One day is sealed and not pruned, and a chunk of it changes: it is exported anew.
  const environ = { FIRNLINE_FAILPOINT: "prune.started:error" };
  await expect(scenario.run({ asOf: "2026-01-25", environ })).rejects.toThrow("failpoint");
  await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 7`);
  await scenario.run();
  whole = await archiveContents(scenario);
});

afterAll(async () => await scenario[Symbol.asyncDispose]());

/** Does damage, looks, and mends it. */
async function findingsAfter(
  path: string,
  damage: Damage,
  options: Partial<VerifyOptions> = {},
): Promise<readonly string[]> {
  try {
    await damage(path);
    return (await verify(scenario, options)).findings;
  } finally {
    await rm(path, { force: true });
    await writeFile(path, Buffer.from(whole[path] as string, "base64"));
    await chmod(path, 0o444);
  }
}

/** Paths of the segment of that state, as the archive has them. */
async function pathsOf(state: string): Promise<{ segment: string; object: string; manifest: string }> {
  const [row] = await scenario.query(
    `SELECT segment FROM firnline.segment WHERE state = '${state}' ORDER BY segment LIMIT 1`,
  );
  const segment = row?.["segment"] as string;
  const paths = await listArchive(scenario);
  const find = (ending: string): string =>
    paths.find((path) => path.endsWith(`${segment}.${ending}`)) as string;
  return { segment, object: find("parquet"), manifest: find("json") };
}

describe("where nothing is wrong", () => {
  test("nothing is found, nothing is touched, and the head is named", async () => {
    const before = {
      rows: await readRows(scenario, scenario.table),
      archive: await archiveContents(scenario),
    };
    const { result, findings } = await verify(scenario);
    const head = (await readJournal(scenario)).length;
    expect(findings).toEqual([]);
    expect(result).toMatchObject({
      journal: { n: BigInt(head) },
      deep: 0,
      rows: 0n,
      unverified: 0,
      findings: 0,
    });
    expect(result.segments).toBeGreaterThan(4);
    expect(result.superseded).toBe(1);
    expect({
      rows: await readRows(scenario, scenario.table),
      archive: await archiveContents(scenario),
    }).toEqual(before);
  });

  test("deep, every value that can be read is read; what is cold is unverified, and not bad (hazard 27)", async () => {
    const { result, findings } = await verify(scenario, { deep: true });
    expect(findings).toEqual([]);
    const cold = await scenario.query("SELECT FROM firnline.segment WHERE state = 'cold'");
    expect(result).toMatchObject({ deep: result.segments - cold.length, unverified: cold.length });
    expect(cold.length).toBeGreaterThan(0);
    expect(result.rows).toBeGreaterThan(200n);
  });

  test("a sample is of so many segments, and the same for the same seed", async () => {
    const rowsFor = async (seed: number): Promise<bigint> =>
      (await verify(scenario, { deep: 2, seed })).result.rows;
    const all = await Promise.all([1, 2, 3, 4, 5, 6].map(async (seed) => await rowsFor(seed)));
    expect(await rowsFor(1)).toBe(all[0]);
    expect(new Set(all).size).toBeGreaterThan(1);
  });

  test("a restored cold segment is read like any other", async () => {
    await using other = await Scenario.create();
    await other.insert(auditRows("2025-12-20", 1, 70));
    await other.run();
    expect((await verify(other, { deep: true })).result).toMatchObject({ deep: 0, unverified: 1 });
    await other.retrieve();
    expect((await verify(other, { deep: true })).result).toMatchObject({ deep: 1, unverified: 0, rows: 70n });
  });

  test("a pipeline that has never run has nothing to verify", async () => {
    await using other = await Scenario.create();
    expect((await verify(other, { deep: true })).result).toMatchObject({ journal: { n: 0n }, findings: 0 });
  });
});

describe("in the archive", () => {
  const GONE = /^E_VERIFY audit_logs\/daily.*: the object is gone$/;
  const SIZE = /^E_VERIFY audit_logs\/daily.*: it has \d+ bytes, \d+ were sealed$/;
  test.each([
    ["is missing", DAMAGES["removed"], GONE],
    ["was cut off", DAMAGES["truncated"], SIZE],
    ["grew", DAMAGES["longer than it was"], SIZE],
    ["is empty", DAMAGES["emptied"], SIZE],
  ] as const)("an object that %s is found at once", async (_, damage, problem) => {
    const { object } = await pathsOf("warm");
    expect(await findingsAfter(object, damage as Damage)).toEqual([expect.stringMatching(problem)]);
  });

  test("an object with a flipped bit is found by --deep alone, wherever the bit is", async () => {
    const { object } = await pathsOf("warm");
    for (const place of [0.01, 0.3, 0.6, 0.97, 1]) {
      expect(await findingsAfter(object, flipped(place))).toEqual([]);
      expect(await findingsAfter(object, flipped(place), { deep: true })).toEqual([
        expect.stringMatching(/^E_VERIFY audit_logs\/daily/),
      ]);
    }
  });

  test("a cold object that is missing is found too", async () => {
    const { object } = await pathsOf("cold");
    expect(await findingsAfter(object, DAMAGES["removed"] as Damage)).toEqual([expect.stringMatching(GONE)]);
  });

  test.each([
    ["is missing", DAMAGES["removed"], /the manifest is gone$/],
    ["was cut off", DAMAGES["truncated"], /it has \d+ bytes, \d+ were sealed$/],
    ["has a flipped bit", flipped(0.5), /its SHA-256 is [0-9a-f]+, expected [0-9a-f]+$/],
  ] as const)("a manifest that %s", async (_, damage, problem) => {
    const { manifest } = await pathsOf("warm");
    expect(await findingsAfter(manifest, damage as Damage)).toEqual([expect.stringMatching(problem)]);
  });

  test("an object of a segment that is wholly superseded is not missed", async () => {
    const { object } = await pathsOf("superseded");
    expect(await findingsAfter(object, DAMAGES["removed"] as Damage, { deep: true })).toEqual([]);
  });
});

describe("in the journal", () => {
  const entry = (n: number): string =>
    `${scenario.archive}/_firnline/audit_logs/journal/${String(n).padStart(20, "0")}.json`;

  test("a missing entry is found, and so is what hangs on it", async () => {
    const sealed = (await readJournal(scenario)).find(({ event }) => event.type === "sealed")?.n as number;
    const findings = await findingsAfter(entry(sealed), DAMAGES["removed"] as Damage);
    expect(findings).toContainEqual(expect.stringMatching(/: this entry is missing$/));
    expect(findings).toContainEqual(expect.stringMatching(/: it is about segment .*, which is not sealed$/));
  });

  test("a changed entry is found at the next one", async () => {
    const damage: Damage = async (path) => {
      const text = await readFile(path, "utf8");
      await chmod(path, 0o644);
      await writeFile(path, text.replace(/"at":"20/, '"at":"19'));
    };
    expect(await findingsAfter(entry(2), damage)).toEqual([
      expect.stringMatching(/003\.json: it follows another entry than 2: one of the two was changed$/),
    ]);
  });

  test("entries that were cut off at the end are known to the catalog", async () => {
    const last = (await readJournal(scenario)).length;
    expect(await findingsAfter(entry(last), DAMAGES["removed"] as Damage)).toEqual([
      expect.stringMatching(/the journal ends before entry \d+, which the catalog knows$/),
    ]);
  });

  test("a last entry that was changed is not the catalog's", async () => {
    const last = (await readJournal(scenario)).length;
    const damage: Damage = async (path) => {
      const text = await readFile(path, "utf8");
      await chmod(path, 0o644);
      await writeFile(path, text.replace(/"at":"20/, '"at":"19'));
    };
    expect(await findingsAfter(entry(last), damage)).toEqual([
      expect.stringMatching(/^E_OWNER .*: the archive's entry is not the catalog's$/),
    ]);
  });
});

describe("in the catalog", () => {
  /** Does it, looks, and takes it back. */
  async function findingsIf(statements: string): Promise<readonly string[]> {
    await scenario.query(
      `CREATE SCHEMA kept; CREATE TABLE kept.segment AS TABLE firnline.segment; CREATE TABLE kept.chunk AS TABLE firnline.chunk`,
    );
    try {
      await scenario.query(statements);
      return (await verify(scenario)).findings;
    } finally {
      await scenario.query(
        `BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM firnline.chunk; DELETE FROM firnline.segment;
         INSERT INTO firnline.segment TABLE kept.segment; INSERT INTO firnline.chunk TABLE kept.chunk;
         DROP SCHEMA kept CASCADE; COMMIT`,
      );
    }
  }

  test.each([
    [
      "a segment is gone",
      "DELETE FROM firnline.segment WHERE segment = $warm",
      /the catalog does not know it$/,
    ],
    [
      "a segment is there that was never sealed",
      "UPDATE firnline.segment SET segment = '000000000099-0123456789abcdef' WHERE segment = $warm",
      /the catalog has it as warm, the journal does not seal it$/,
    ],
    [
      "a segment is cold that is warm",
      "UPDATE firnline.segment SET state = 'cold' WHERE segment = $warm",
      /it is cold in the catalog, and warm by the journal$/,
    ],
    [
      "a segment is pinned as another object",
      "UPDATE firnline.segment SET version_id = 'another' WHERE segment = $warm",
      /its object is \d+ bytes, version another in the catalog, \d+ bytes, version null in the journal$/,
    ],
    [
      "a segment is pinned by another manifest",
      "UPDATE firnline.segment SET manifest_sha256 = decode(repeat('ab', 32), 'hex') WHERE segment = $warm",
      /its manifest's SHA-256 is (?:ab){32} in the catalog, [0-9a-f]{64} in the journal$/,
    ],
    [
      "rows are taken for hot that were pruned",
      `UPDATE firnline.segment SET state = 'pruning' WHERE segment = $warm;
       INSERT INTO firnline.chunk SELECT pipeline, segment, 0, 'sealed', rows FROM firnline.segment WHERE segment = $warm`,
      /0 of its chunks are pruned in the catalog, \d+ in the journal$/,
    ],
    [
      "a superseded segment counts again",
      "UPDATE firnline.segment SET state = 'warm' WHERE state = 'superseded'",
      /of its chunks are pruned in the catalog, 0 in the journal$/,
    ],
  ])("%s", async (_, statements, problem) => {
    const { segment } = await pathsOf("warm");
    const findings = await findingsIf(statements.replaceAll("$warm", `'${segment}'`));
    expect(findings).toContainEqual(expect.stringMatching(problem));
    expect(findings.every((one) => /^E_CATALOG segment |^E_SOURCE default /.test(one))).toBe(true);
    await expectVerified(scenario);
  });
});

describe("in the table", () => {
  /** Sealed, and to be pruned by the next run. */
  async function sealed(): Promise<Scenario> {
    const other = await Scenario.create();
    await other.insert(auditRows("2026-01-05", 1, 170));
    const failing = other.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
    await expect(failing).rejects.toThrow("failpoint");
    return other;
  }

  test("archived rows that are gone, and were never pruned, are found before they are taken for deleted", async () => {
    await using other = await sealed();
    await expectVerified(other);
    await other.query(`DELETE FROM ${other.table} WHERE id IN (7, 77)`);
    expect((await verify(other)).findings).toEqual([
      "E_SOURCE default 2026-01-05: the table has 168 of its rows, 170 are archived and were not pruned",
    ]);
    // Rows that came late make up for them in number, and not by their keys.
    await other.insert(auditRows("2026-01-05", 3001, 20));
    expect((await verify(other)).findings).toEqual([]);
    expect((await verify(other, { deep: true })).findings).toEqual([
      expect.stringMatching(
        /^E_SOURCE segment .*: 2 of its rows are neither pruned nor in the table \(the first is 7\)$/,
      ),
    ]);
  });

  test("late rows are none of its business", async () => {
    await using other = await sealed();
    await other.insert(auditRows("2026-01-05", 1001, 20));
    await expectVerified(other);
    await other.run();
    await expectVerified(other);
    await expectNothingLost(other);
  });
});

test("while a run is at work, what it does is not blamed", async () => {
  await using other = await Scenario.create();
  for (let day = 1; day <= 6; day += 1) await other.insert(auditRows(`2026-01-0${day}`, day * 1000, 120));
  let isRunning = true;
  const run = other.run().finally(() => (isRunning = false));
  let looks = 0;
  while (isRunning) {
    await expectVerified(other);
    looks += 1;
  }
  await run;
  expect(looks).toBeGreaterThan(1);
  await expectVerified(other);
});
