/**
 * Someone has an archive of Firnline's and nothing else: no Firnline, no database. Here that person uses `sha256sum`,
 * DuckDB and `schemas/verify-segment.mjs` on what the real pipeline left behind, reads all that left the table, and
 * finds what was tampered with.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { journalEventSchema } from "../../src/segment/journal.ts";
import { Forgery, type Sealed, TAMPERINGS } from "../support/archive-forgery.ts";
import { buildArchive, COMPARISONS, type OutsiderArchive, PIPELINE } from "../support/outsider-archive.ts";
import { createDatabase } from "../support/postgres.ts";

const SCRIPT = fileURLToPath(new URL("../../schemas/verify-segment.mjs", import.meta.url));

let folder: string;
let archive: OutsiderArchive;
let original: Forgery;
let copies = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "firnline-outsider-"));
  await using database = await createDatabase();
  archive = await buildArchive(database.url, join(folder, "archive"));
  original = new Forgery(archive.root, PIPELINE);
});

afterAll(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

interface Finished {
  readonly code: number;
  readonly lines: readonly string[];
}

async function run(program: string, args: readonly string[]): Promise<Finished> {
  return await new Promise((resolve, reject) => {
    execFile(program, args, { cwd: archive.root, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code !== "number" || stderr !== "")
        reject(new Error(`${program}: ${stderr}`, { cause: error }));
      else resolve({ code, lines: stdout.trimEnd().split("\n") });
    });
  });
}

const verify = async (root: string, ...segment: string[]): Promise<Finished> =>
  await run(process.execPath, [SCRIPT, root, PIPELINE, ...segment]);

describe("with sha256sum", () => {
  it("objects, manifests and the chain of the journal are what the journal says", async () => {
    const entries = await original.journal();
    const sealed = await original.sealed();
    const pins = sealed.flatMap(({ object, manifest }) => [object, manifest]);
    const journalKeys = entries.map((_, at) => original.journalKey(at + 1));
    const { lines } = await run("sha256sum", [...pins.map(({ key }) => key), ...journalKeys]);
    expect(lines.slice(0, pins.length)).toEqual(pins.map(({ key, sha256 }) => `${sha256}  ${key}`));
    const chain = lines.slice(pins.length).map((line) => line.split("  ")[0]);
    expect(entries.map(({ prev }) => prev)).toEqual(["0".repeat(64), ...chain.slice(0, -1)]);
    expect(sealed.length).toBeGreaterThanOrEqual(8);
  });
});

it("the journal has every event that there is", async () => {
  const types = (await original.journal()).map(({ event }) => event.type);
  const all = journalEventSchema.options.map(({ shape }) => shape.type.value);
  // A folder has no rules that act on tags.
  expect(all.filter((type) => !types.includes(type))).toEqual(["tagged"]);
});

describe("with DuckDB", () => {
  let duck: DuckDBConnection;

  beforeAll(async () => {
    duck = await (await DuckDBInstance.create(":memory:")).connect();
    await duck.run("SET TimeZone = 'UTC'");
    await duck.run(`CREATE VIEW folder AS SELECT * FROM read_parquet(
      '${archive.root}/${PIPELINE}/daily/*/*/*.parquet', hive_partitioning = true, union_by_name = true,
      filename = true, file_row_number = true)`);
    // Section 10 of FORMAT.md: the chunks that the journal names as pruned, by the positions of their rows.
    await duck.run("CREATE TABLE pruned (name VARCHAR, first BIGINT, beyond BIGINT)");
    for (const { name, first, beyond } of await prunedRows()) {
      await duck.run(`INSERT INTO pruned VALUES ('${name}', ${first}, ${beyond})`);
    }
    await duck.run(`CREATE VIEW archived AS SELECT folder.* FROM folder JOIN pruned
      ON ends_with(filename, name) AND file_row_number >= first AND file_row_number < beyond`);
  });

  afterAll(() => duck?.closeSync());

  /** Section 10: what the last entry that names a chunk says of it. */
  async function prunedRows(): Promise<{ name: string; first: number; beyond: number }[]> {
    const entries = await original.journal();
    const found: { name: string; first: number; beyond: number }[] = [];
    for (const sealed of await original.sealed()) {
      const { chunks } = await original.manifest(sealed);
      const pruned = new Set(sealed.type === "packed" ? chunks.keys() : []);
      for (const { event } of entries) {
        const replaced =
          event.type === "sealed" ? event.supersedes : event.type === "packed" ? event.from : [];
        for (const one of replaced.filter(({ segment }) => segment === sealed.segment)) {
          for (const chunk of one.chunks) pruned.delete(chunk);
        }
        if (!("segment" in event) || event.segment !== sealed.segment) continue;
        if (event.type === "pruned" || event.type === "reconciled") {
          for (const chunk of event.type === "pruned" ? event.chunks : event.pruned) pruned.add(chunk);
        }
        if (event.type === "reconciled") for (const chunk of event.sealed) pruned.delete(chunk);
      }
      let first = 0;
      for (const [index, { rows }] of chunks.entries()) {
        if (pruned.has(index)) found.push({ name: sealed.object.key, first, beyond: first + rows });
        first += rows;
      }
    }
    return found;
  }

  async function query(sql: string): Promise<Record<string, unknown>[]> {
    return (await duck.runAndReadAll(sql)).getRowObjectsJson();
  }

  it("counts by day and rule are those of the rows that left the table", async () => {
    const counts = await query(
      "SELECT dt::VARCHAR AS day, rule, count(*)::INT AS rows FROM archived GROUP BY ALL ORDER BY ALL",
    );
    const expected = Map.groupBy(archive.truth.values(), ({ day, rule }) => `${day} ${rule}`);
    expect(counts.map(({ day, rule, rows }) => [`${day} ${rule}`, rows])).toEqual(
      [...expected].map(([name, rows]) => [name, rows.length]).sort(),
    );
    expect(expected.size).toBe(11);
  });

  it("every value is what the table held, and null where it is an exception", async () => {
    const columns = Object.entries(COMPARISONS).map(([name, { duck: text }]) => `${text} AS "${name}"`);
    const rows = await query(`SELECT ${columns.join(", ")} FROM archived ORDER BY archived.id`);
    const expected = [...archive.truth.values()].map(({ values }) => values);
    expect(rows).toEqual(expected.sort((left, right) => Number(left["id"]) - Number(right["id"])));
  });

  it("the folder may hold more: superseded rows, and such that the journal does not call pruned", async () => {
    const more = await query(
      `SELECT id::VARCHAR AS id FROM folder
       WHERE (filename, file_row_number) NOT IN (SELECT (filename, file_row_number) FROM archived) ORDER BY id::VARCHAR`,
    );
    expect(more.map(({ id }) => id)).toEqual(archive.besides);
    expect(archive.besides).not.toEqual([]);
  });

  it("a filter that skips by statistics finds what a full scan finds, for every value of every column", async () => {
    await duck.run("SET parquet_metadata_cache = true");
    // One day, since each value is looked for twice: its row groups have NaN with and without infinities beside it.
    await duck.run(
      `CREATE VIEW day AS FROM read_parquet('${archive.root}/${PIPELINE}/daily/*/dt=2023-01-10/*.parquet')`,
    );
    await duck.run("CREATE TABLE scanned AS FROM day");
    const types = await query("DESCRIBE scanned");
    for (const { column_name: name, column_type: type } of types) {
      // As hex of the text, which no decoder on the way changes.
      const values = await query(
        `SELECT DISTINCT hex(encode("${name}"::VARCHAR)) AS value FROM scanned WHERE "${name}" IS NOT NULL`,
      );
      const counts = ["=", ">="].flatMap((operator) =>
        values.map(({ value }) => {
          const where = `WHERE "${name}" ${operator} decode(from_hex('${value}'))::${type}`;
          return `SELECT (SELECT count(*) FROM scanned ${where}) AS scanned, (SELECT count(*) FROM day ${where}) AS found,
                  '${operator} ${value}' AS filter`;
        }),
      );
      const wrong = await query(
        `SELECT * FROM (${counts.join(" UNION ALL ")}) WHERE scanned <> found OR scanned = 0`,
      );
      expect([name, wrong]).toEqual([name, []]);
    }
    expect(types.length).toBeGreaterThanOrEqual(Object.keys(COMPARISONS).length);
  });
});

describe("with verify-segment.mjs", () => {
  it("is under 200 lines and imports Node and hyparquet alone", async () => {
    const text = await readFile(SCRIPT, "utf8");
    expect(text.trimEnd().split("\n").length).toBeLessThan(200);
    const imports = [...text.matchAll(/\bfrom "([^"]+)"|\bimport\(|\brequire\b/g)].map(
      ([, name]) => name ?? "?",
    );
    expect(imports.filter((name) => !name.startsWith("node:"))).toEqual(["hyparquet"]);
    const { files, dependencies } = JSON.parse(
      await readFile(new URL("../../package.json", import.meta.url), "utf8"),
    );
    expect(files).toContain("schemas");
    expect(dependencies).toHaveProperty("hyparquet");
  });

  it("every segment is as it was sealed, the cold ones too", async () => {
    const { code, lines } = await verify(archive.root);
    const sealed = await original.sealed();
    const manifests = await Promise.all(sealed.map(async (one) => await original.manifest(one)));
    const ok = lines.filter((line) => line.startsWith("ok "));
    expect(ok.map((line) => line.split(/,| [^ ]+ pruned/)[0])).toEqual(
      manifests.map(({ segment, rows, chunks }) => `ok ${segment} ${rows} rows ${chunks.length} chunks`),
    );
    expect(lines.filter((line) => line.endsWith(", DEEP_ARCHIVE"))).toHaveLength(2);
    expect(lines.filter((line) => line.startsWith("collected "))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith("expired "))).toHaveLength(1);
    // One was written again without what had changed, of one nothing is left, one is quarantined in part.
    expect(lines.filter((line) => line.includes("2 chunks, 0 pruned, 2 superseded"))).toHaveLength(1);
    expect(lines.filter((line) => line.includes("1 chunks, 0 pruned, 1 superseded"))).toHaveLength(1);
    expect(lines.filter((line) => line.includes("2 chunks, 1 pruned, 0 superseded"))).toHaveLength(1);
    expect(lines.at(-1)).toMatch(/^journal of \d+ entries, head [0-9a-f]{64}$/);
    expect(code).toBe(0);
    // The archive is worth verifying: trees with branches, row groups with several chunks, values in exceptions.
    expect(manifests.some(({ chunks, rowGroups }) => chunks.length > 3 && rowGroups.length > 1)).toBe(true);
    expect(
      manifests.flatMap(({ chunks }) => chunks).filter(({ exceptions }) => exceptions.length > 5),
    ).not.toEqual([]);
  });

  it("takes a segment's name, and refuses one that is not sealed", async () => {
    const [first] = await original.sealed();
    const one = await verify(archive.root, (first as Sealed).segment);
    expect([one.code, one.lines.length]).toEqual([0, 2]);
    const none = await verify(archive.root, "000000000000-0000000000000000");
    expect(none).toMatchObject({ code: 1 });
    expect(none.lines[0]).toBe("BAD 000000000000-0000000000000000: the journal does not seal it");
  });

  it.each(Object.entries(TAMPERINGS))("finds the place when %s", async (_, tamper) => {
    const forgery = await Forgery.of(archive.root, join(folder, `copy-${(copies += 1)}`), PIPELINE);
    const [first, second] = (await forgery.sealed()) as [Sealed, Sealed];
    const expected = await tamper(forgery, first, second);
    const { code, lines } = await verify(forgery.root);
    expect(lines.find((line) => line.startsWith("BAD"))?.slice(0, expected.length)).toBe(expected);
    expect(code).toBe(1);
  });

  it("lets an entry of a stale epoch count for the chain, and not for what it says", async () => {
    const forgery = await Forgery.of(archive.root, join(folder, `copy-${(copies += 1)}`), PIPELINE);
    const entries = await forgery.journal();
    const [, sealed] = await forgery.sealed();
    const event = { ...(sealed as Sealed), segment: "000000000099-0123456789abcdef" };
    const stale = { ...(entries[0] as (typeof entries)[number]), n: String(entries.length + 1), event };
    const epoch = BigInt(entries.at(-1)?.epoch as string);
    await forgery.writeJournal([...entries, { ...stale, epoch: `${epoch - 1n}` }]);
    const voided = await verify(forgery.root);
    expect([voided.code, voided.lines[0]]).toEqual([
      0,
      `void journal ${stale.n}: its epoch is ${epoch - 1n}`,
    ]);
    await forgery.writeJournal([...entries, { ...stale, epoch: `${epoch}` }]);
    const { code, lines } = await verify(forgery.root);
    expect([code, lines.some((line) => line.startsWith(`BAD ${event.segment}: `))]).toEqual([1, true]);
  });

  it("cannot see that the journal was cut off or written anew, but the head differs from the one that was noted", async () => {
    const noted = (await verify(archive.root)).lines.at(-1);
    const forgery = await Forgery.of(archive.root, join(folder, `copy-${(copies += 1)}`), PIPELINE);
    const entries = await forgery.journal();
    await rm(join(forgery.root, forgery.journalKey(entries.length)));
    const cut = await verify(forgery.root);
    expect([cut.code, cut.lines.at(-1) === noted]).toEqual([0, false]);
    const [first, ...others] = entries.slice(0, -1) as [(typeof entries)[number]];
    await forgery.writeJournal([{ ...first, at: "2020-01-01T00:00:00.000Z" }, ...others]);
    const anew = await verify(forgery.root);
    expect([anew.code, anew.lines.at(-1) === cut.lines.at(-1)]).toEqual([0, false]);
  });
});
