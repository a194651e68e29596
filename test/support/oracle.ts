/**
 * The oracle: hot rows and archived chunks marked pruned are exactly all rows that ever went in (I2), found in two ways
 * that share no code: by a retrieval of everything, and by reading the journal's files with nothing but `node:crypto`
 * and the Parquet objects with DuckDB.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "vitest";
import { moved, NOTHING, type RunAs, type Scenario } from "./scenario.ts";

type JsonObject = Readonly<Record<string, never>>;

export interface Journaled {
  readonly n: number;
  readonly entryId: string;
  readonly run: string;
  readonly event: { readonly type: string } & Record<string, unknown>;
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** All entries of the journal, whose chain is checked on the way (I5). */
export async function readJournal(scenario: Scenario): Promise<Journaled[]> {
  const folder = join(scenario.archive, "_firnline/audit_logs/journal");
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith(".")).sort();
  const entries: Journaled[] = [];
  let previous = "0".repeat(64);
  for (const [index, name] of names.entries()) {
    expect(name, "numbers have no gap").toBe(`${String(index + 1).padStart(20, "0")}.json`);
    const bytes = await readFile(join(folder, name));
    const entry = JSON.parse(bytes.toString("utf8")) as JsonObject;
    expect({ n: entry["n"], prev: entry["prev"] }, `entry ${name}`).toEqual({
      n: String(index + 1),
      prev: previous,
    });
    previous = sha256(bytes);
    entries.push({ ...(entry as unknown as Journaled), n: index + 1 });
  }
  return entries;
}

/** The journal, and what is decided and not journaled yet: what the next run will begin with. */
async function readEvents(scenario: Scenario): Promise<Journaled["event"][]> {
  const journal = await readJournal(scenario);
  const known = new Set(journal.map(({ entryId }) => entryId));
  const pending = await scenario.query("SELECT entry_id::text AS id, event FROM firnline.outbox ORDER BY id");
  return [
    ...journal.map(({ event }) => event),
    ...pending
      .filter((row) => !known.has(row["id"] as string))
      .map((row) => row["event"] as unknown as Journaled["event"]),
  ];
}

interface SealedEvent {
  readonly segment: string;
  readonly rule: string;
  readonly dayFrom: string;
  readonly rows: string;
  readonly object: { readonly key: string; readonly sha256: string; readonly bytes: string };
  readonly manifest: { readonly key: string; readonly sha256: string };
}

interface ChunksOf {
  readonly segment: string;
  readonly chunks: readonly number[];
}

/** A sealed segment as the archive shows it, with the rows of its pruned chunks as lines. */
export interface ArchivedSegment extends SealedEvent {
  readonly storageClass: string;
  readonly pruned: readonly string[];
}

export interface ArchiveContent {
  readonly segments: readonly ArchivedSegment[];
  /** Rows deleted by delete-only rules, by `rule day`. */
  readonly deleted: Readonly<Record<string, number>>;
  /** Rows of segments whose expiry is journaled. */
  readonly expired: number;
}

export async function readArchive(scenario: Scenario): Promise<ArchiveContent> {
  const events = await readEvents(scenario);
  const of = (type: string): Record<string, unknown>[] => events.filter((event) => event.type === type);
  const deleted: Record<string, number> = {};
  for (const { rule, day, rows } of of("deleted")) {
    const name = `${String(rule)} ${String(day)}`;
    deleted[name] = (deleted[name] ?? 0) + Number(rows);
  }
  const columns = await readColumns(scenario);
  const segments: ArchivedSegment[] = [];
  const packs = of("packed") as unknown as (SealedEvent & { from: ChunksOf[] })[];
  const packed = packs.flatMap(({ from }) => from);
  const collected = new Set(
    of("collected")
      .flatMap((event) => event["objects"] as { key: string }[])
      .map(({ key }) => key),
  );
  const expiring = new Set(of("expire-intent").map(({ segment }) => segment));
  let expired = 0;
  for (const sealed of [...(of("sealed") as unknown as SealedEvent[]), ...packs]) {
    if (collected.has(sealed.object.key)) continue;
    if (expiring.has(sealed.segment)) {
      expired += Number(sealed.rows);
      continue;
    }
    const object = await readFile(join(scenario.archive, sealed.object.key));
    expect(sha256(object), `object ${sealed.object.key}`).toBe(sealed.object.sha256);
    const manifest = await readFile(join(scenario.archive, sealed.manifest.key));
    expect(sha256(manifest), `manifest ${sealed.manifest.key}`).toBe(sealed.manifest.sha256);
    const chunks = prunedOf(events, sealed.segment);
    const document = JSON.parse(manifest.toString("utf8")) as { chunks: { rows: number }[] };
    // What a segment was packed of had left the table before.
    if ("from" in sealed) chunks.push(...document.chunks.keys());
    const elsewhere = new Set(
      packed.filter(({ segment }) => segment === sealed.segment).flatMap((one) => one.chunks),
    );
    const live = chunks.filter((chunk) => !elsewhere.has(chunk));
    segments.push({
      ...sealed,
      storageClass: await readClass(scenario, sealed.object.key),
      pruned: await readChunks(scenario, sealed, document, live, columns),
    });
  }
  return { segments, deleted, expired };
}

/** Chunks that left the table, in the order in which they did. A chunk is pruned once, unless its rows were found back. */
function prunedOf(events: readonly Journaled["event"][], segment: string): number[] {
  const pruned = new Set<number>();
  for (const event of events.filter((one) => one["segment"] === segment)) {
    if (event.type === "pruned") {
      for (const chunk of event["chunks"] as number[]) {
        expect(pruned.has(chunk), `chunk ${chunk} of ${segment} is pruned once`).toBe(false);
        pruned.add(chunk);
      }
    }
    if (event.type === "reconciled") {
      for (const chunk of event["pruned"] as number[]) pruned.add(chunk);
      for (const chunk of event["sealed"] as number[]) pruned.delete(chunk);
    }
  }
  return [...pruned];
}

/** The object's class as the file archive keeps it: in a sidecar, or STANDARD without one. */
async function readClass(scenario: Scenario, key: string): Promise<string> {
  const sidecar = join(scenario.archive, dirname(key), `.${basename(key)}.firnline.json`);
  const text = await readFile(sidecar, "utf8").catch(() => `{"storageClass":"STANDARD"}`);
  return (JSON.parse(text) as { storageClass: string }).storageClass;
}

async function readChunks(
  scenario: Scenario,
  sealed: SealedEvent,
  manifest: { chunks: { rows: number }[] },
  chunks: readonly number[],
  columns: readonly ColumnText[],
): Promise<string[]> {
  const starts = manifest.chunks.map((_, index) =>
    manifest.chunks.slice(0, index).reduce((sum, { rows }) => sum + rows, 0),
  );
  // What was exported under an older definition, and nothing of it pruned, may lack columns.
  const read = chunks.length === 0 ? [] : columns;
  const rows = await readObject(join(scenario.archive, sealed.object.key), sealed.object.sha256, read);
  expect(rows.length, `rows of ${sealed.object.key}`).toBe(Number(sealed.rows));
  return chunks.flatMap((chunk) => {
    const from = starts[chunk] as number;
    return rows.slice(from, from + (manifest.chunks[chunk]?.rows as number));
  });
}

/** Rows by the SHA-256 of their object and the columns asked for: most objects are looked at again and again. */
const rowsOfObjects = new Map<string, string[]>();
const OBJECTS_MAX = 500;

/** `hash` is that of the bytes that stand there now. */
async function readObject(path: string, hash: string, columns: readonly ColumnText[]): Promise<string[]> {
  const name = JSON.stringify([hash, columns]);
  const rows = rowsOfObjects.get(name) ?? (await readParquet(path, columns));
  if (rowsOfObjects.size >= OBJECTS_MAX) rowsOfObjects.clear();
  rowsOfObjects.set(name, rows);
  return rows;
}

let duckdb: Promise<DuckDBConnection> | undefined;

async function readParquet(path: string, columns: readonly ColumnText[]): Promise<string[]> {
  duckdb ??= DuckDBInstance.create(":memory:", { threads: "1" }).then(async (one) => await one.connect());
  const list = columns.length === 0 ? "NULL" : columns.map(({ inDuckdb }) => inDuckdb).join(", ");
  const file = `read_parquet('${path.replaceAll("'", "''")}', hive_partitioning = false, file_row_number = true)`;
  const reader = await (
    await duckdb
  ).runAndReadAll(`SELECT ${list} FROM ${file} AS the_file ORDER BY the_file.file_row_number`);
  return reader.getRows().map((row) => JSON.stringify(row));
}

/** One column as the same text from both sides. */
interface ColumnText {
  readonly inPostgres: string;
  readonly inDuckdb: string;
}

async function readColumns(scenario: Scenario): Promise<ColumnText[]> {
  const rows = await scenario.query(
    `SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type FROM pg_attribute a
     WHERE a.attrelid = 'truth.rows'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
  );
  return rows.map(({ name, type }) => {
    const column = `"${(name as string).replaceAll('"', '""')}"`;
    if ((type as string).startsWith("timestamp")) {
      return {
        inPostgres: `CASE WHEN isfinite(${column}) THEN trunc(extract(epoch FROM ${column}) * 1000000)::text
                     ELSE ${column}::text END`,
        inDuckdb: `epoch_us(${column})::VARCHAR`,
      };
    }
    if (type === "bytea")
      return { inPostgres: `encode(${column}, 'hex')`, inDuckdb: `lower(hex(${column}))` };
    // The sign in front keeps a byte order mark from being taken for one.
    return { inPostgres: `'=' || ${column}::text`, inDuckdb: `'=' || ${column}::VARCHAR` };
  });
}

/** Rows of a table of Postgres as lines, sorted. */
export async function readRows(scenario: Scenario, table: string, condition = "true"): Promise<string[]> {
  const columns = await readColumns(scenario);
  const rows = await scenario.query(
    `SELECT json_build_array(${columns.map(({ inPostgres }) => inPostgres).join(", ")}) AS row
     FROM ${table} WHERE ${condition}`,
  );
  return rows.map(({ row }) => JSON.stringify(row)).sort();
}

/** Rows of the table, and of leaves of it that are detached to be dropped. */
export async function readHotRows(scenario: Scenario): Promise<string[]> {
  const detached = await scenario.query(
    `SELECT format('%I.%I', leaf_schema, leaf_name) AS leaf FROM firnline.detaching
     WHERE NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = leaf_oid::oid AND NOT inhdetachpending)`,
  );
  const tables = [scenario.table, ...detached.map((row) => row["leaf"] as string)];
  const rows = await Promise.all(tables.map(async (table) => await readRows(scenario, table)));
  return rows.flat().sort();
}

/** What `left` has more often than `right`. */
export function minus(left: readonly string[], right: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of right) counts.set(line, (counts.get(line) ?? 0) + 1);
  return left.filter((line) => {
    const count = counts.get(line) ?? 0;
    if (count > 0) counts.set(line, count - 1);
    return count === 0;
  });
}

export interface OracleOptions {
  /** What the delete-only rules of the policy match; nothing by default. */
  readonly deletable?: string;
  /** What may have expired; nothing by default. */
  readonly expired?: string;
  /** What belongs to no day and is never asked for, e.g. infinite times. */
  readonly leftover?: string;
  /** Rows that were put back into the table were archived twice; one of two equal rows counts. */
  readonly collapsed?: boolean;
}

/** I2, by the journal and DuckDB alone. */
export async function expectArchiveComplete(
  scenario: Scenario,
  { deletable = "false", expired = "false", collapsed = false }: OracleOptions = {},
): Promise<void> {
  const { segments, deleted, expired: rowsExpired } = await readArchive(scenario);
  const truth = await readRows(scenario, "truth.rows");
  const all = [...(await readHotRows(scenario)), ...segments.flatMap(({ pruned }) => [...pruned])];
  const found = collapsed ? [...new Set(all)] : all;
  const missing = minus(truth, found);
  expect(minus(found, truth), "rows that nobody inserted, or twice").toEqual([]);
  expect(
    minus(missing, await readRows(scenario, "truth.rows", `(${deletable}) OR (${expired})`)),
    "rows that are lost",
  ).toEqual([]);
  const journaled = Object.values(deleted).reduce((sum, rows) => sum + rows, 0);
  expect(missing.length, "rows removed on purpose are counted in the journal").toBe(journaled + rowsExpired);
}

export interface RetrievalDifference {
  /** True, not deletable, and not in the answer. */
  readonly lost: readonly string[];
  /** In the answer, and not true, or more often than it is. */
  readonly invented: readonly string[];
  /** How many true rows are not in the answer. */
  readonly missing: number;
}

/** A retrieval of everything against the truth; Postgres compares them. */
export async function retrievalDifference(
  scenario: Scenario,
  { deletable = "false", expired = "false", leftover = "false" }: OracleOptions = {},
): Promise<RetrievalDifference> {
  const { lines } = await scenario.retrieve();
  const [difference] = await scenario.query(
    `WITH answer AS (SELECT jsonb_populate_record(NULL::truth.rows, line::jsonb)::text AS row FROM unnest($1::text[]) line),
     truth AS (SELECT the_row::text AS row, (${deletable}) IS TRUE OR (${expired}) IS TRUE AS deletable FROM truth.rows the_row WHERE (${leftover}) IS NOT TRUE),
     missing AS (SELECT row FROM truth EXCEPT ALL SELECT row FROM answer)
     SELECT ARRAY(SELECT row FROM missing EXCEPT ALL SELECT row FROM truth WHERE deletable) AS lost,
            ARRAY(SELECT row FROM answer EXCEPT ALL SELECT row FROM truth) AS invented,
            (SELECT count(*)::int FROM missing) AS missing`,
    [lines],
  );
  return difference as unknown as RetrievalDifference;
}

/** I2 and I8, by a retrieval of everything. */
export async function expectRetrievalComplete(
  scenario: Scenario,
  options: OracleOptions = {},
): Promise<void> {
  const difference = await retrievalDifference(scenario, options);
  const { deleted, expired } = await readArchive(scenario);
  const journaled = Object.values(deleted).reduce((sum, rows) => sum + rows, 0);
  expect(difference).toEqual({ lost: [], invented: [], missing: journaled + expired });
}

export async function expectNothingLost(scenario: Scenario, options: OracleOptions = {}): Promise<void> {
  await expectArchiveComplete(scenario, options);
  await expectRetrievalComplete(scenario, options);
}

/** Where all rows are: by `rule day class` those pruned from the table and in the archive, and those still hot. */
export async function readTiers(scenario: Scenario): Promise<Record<string, string[]>> {
  const tiers: Record<string, string[]> = { hot: await readHotRows(scenario) };
  for (const { rule, dayFrom, storageClass, pruned } of (await readArchive(scenario)).segments) {
    const name = `${rule} ${dayFrom} ${storageClass}`;
    tiers[name] = [...(tiers[name] ?? []), ...pruned].sort();
  }
  return tiers;
}

/** I7: a run right after a finished one moves nothing, and finds nothing to plan. */
export async function expectSettled(scenario: Scenario, as: RunAs = {}): Promise<void> {
  const summary = await scenario.run(as);
  expect({ ...moved(summary), state: summary.state, steps: summary.plan.steps }).toEqual({
    ...NOTHING,
    state: "done",
    steps: [],
  });
}
