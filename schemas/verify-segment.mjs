#!/usr/bin/env node
/**
 * Verifies a Firnline archive in a folder without Firnline and without its database. Written from FORMAT.md alone,
 * whose section numbers stand below. Needs Node 22.15 or newer and the package hyparquet.
 *     node verify-segment.mjs ARCHIVE_FOLDER PIPELINE [SEGMENT]
 * Prints `ok SEGMENT ...` or `BAD SEGMENT: what` for each sealed or packed segment (or the one named) and the journal's head,
 * to be compared with one noted elsewhere. Exit code 0: all is as it was sealed; 1: something is BAD.
 */
import { createHash } from "node:crypto";
import { createReadStream, promises as fs } from "node:fs";
import { join } from "node:path";
import { pipeline as pipe } from "node:stream/promises";
import { zstdDecompressSync } from "node:zlib";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";

const EVENTS = `run-started adopted policy sealed packed superseded tombstoned quarantined prune-started pruned
  reconciled tagged transitioned restored hold released expire-intent expired collected deleted retrieved`.split(/\s+/);
const EPOCH = { days: 10_957, micros: 946_684_800_000_000n }; // from 1970-01-01 to 2000-01-01
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const must = (condition, problem) => {
  if (!condition) throw new Error(problem);
};

/** Section 3, RFC 8785. */
function canonical(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}
const [same, versionOf] = [(left, right) => canonical(left) === canonical(right), ({ key, versionId }) => `${key} ${versionId}`];
function parseDocument(bytes) {
  const value = JSON.parse(bytes.toString());
  must(value?.format === 1, `its format is ${JSON.stringify(value?.format)}, this script reads 1`);
  must(bytes.equals(Buffer.from(canonical(value))), "it is not in canonical form");
  return value;
}

/** Section 8: from a physical value of the Parquet file to the bytes of a field. */
const big = (bytes, method, value) => ((out) => (out[method](value), out))(Buffer.alloc(bytes));
const int4 = (value) => big(4, "writeInt32BE", value);
const int8 = (value) => big(8, "writeBigInt64BE", value);
const asIs = (value) => Buffer.from(value);
const instant = (value) => int8(value - EPOCH.micros);
const FIELDS = {
  ...{ uuid: asIs, bytea: asIs, text: asIs, json: asIs, binary: asIs, int4, int8, time: int8 },
  ...{ bool: (value) => Buffer.from([value ? 1 : 0]), int2: (value) => big(2, "writeInt16BE", value) },
  ...{ float4: (value) => big(4, "writeFloatBE", value), float8: (value) => big(8, "writeDoubleBE", value) },
  decimal: (value, { scale }) => numeric(value instanceof Uint8Array ? signed(value) : BigInt(value), scale),
  numeric: (value) => numericOfText(asIs(value).toString()),
  ...{ timestamptz: instant, timestamp: instant, date: (value) => int4(value - EPOCH.days) },
  jsonb: (value) => Buffer.concat([Buffer.of(1), value]),
};
const signed = (value) => BigInt.asIntN(value.length * 8, BigInt(`0x${asIs(value).toString("hex")}`));
function numericOfText(text) {
  if (text === "NaN") return Buffer.from("00000000c0000000", "hex");
  must(/^-?\d+(\.\d+)?$/.test(text), `"${text}" is not the text of a numeric`);
  const [whole, fraction = ""] = text.split(".");
  return numeric(BigInt(whole + fraction), fraction.length);
}
function numeric(unscaled, scale) {
  const digits = [];
  let rest = (unscaled < 0n ? -unscaled : unscaled) * 10n ** BigInt((4 - (scale % 4)) % 4);
  for (; rest > 0n; rest /= 10_000n) digits.unshift(Number(rest % 10_000n));
  const weight = digits.length === 0 ? 0 : digits.length - 1 - Math.ceil(scale / 4);
  while (digits.at(-1) === 0) digits.pop();
  const words = [digits.length, weight, unscaled < 0n ? 0x4000 : 0, scale, ...digits];
  return Buffer.from(words.flatMap((word) => [word >> 8, word]));
}

/** Section 9: digest of a column of a chunk, leaf of a chunk, root of a segment. */
function columnDigest(column, index, chunkRows, { exceptions, salts }) {
  const kept = new Map();
  for (const one of exceptions) for (let at = 0; one.column === index && at < one.rows; at++) kept.set(one.row + at, one.field);
  const parts = chunkRows.flatMap(({ [column.name]: value }, row) => {
    if (!kept.has(row) && (value === null || value === undefined)) return [int4(-1)];
    const field = kept.has(row) ? Buffer.from(kept.get(row), "hex") : FIELDS[column.kind](value, column);
    return [int4(field.length), field];
  });
  return sha256(Buffer.from(salts[index], "hex"), Buffer.concat(parts)).toString("hex");
}
function leafOf({ archiveId, pipeline, rule, ...manifest }, { segment, day, from, to, rows, digests, ...chunk }) {
  const table = { schema: (chunk.table ?? manifest.table).schema, name: (chunk.table ?? manifest.table).name };
  const columns = manifest.columns.map(({ name, type, kind, select }) => ({ name, type, kind, select }));
  const text = Buffer.from(canonical({ archiveId, pipeline, segment, rule, day, table, from, to, rows, columns }));
  return sha256(Buffer.of(0), int4(text.length), text, Buffer.from(digests.join(""), "hex"));
}
function rootOf(leaves) {
  if (leaves.length === 1) return leaves[0];
  const split = 2 ** (31 - Math.clz32(leaves.length - 1)); // the largest power of two below the length
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** Sections 4 and 5: the chain. Gives its head and, by segment, what it says of each. */
async function walkJournal(place, bad) {
  const journal = { n: 0n, head: "0".repeat(64), epoch: 0n, segments: new Map(), collected: new Set() };
  for (const name of (await fs.readdir(place)).filter((one) => /^\d{20}\.json$/.test(one)).sort()) {
    const [n, next] = [BigInt(name.slice(0, 20)), journal.n + 1n];
    if (n !== next) bad(`journal ${next}`, "this entry is missing");
    const bytes = await fs.readFile(join(place, name));
    try {
      const entry = parseDocument(bytes);
      must(entry.n === String(n), `it says that it is entry ${entry.n}`);
      must(n !== next || entry.prev === journal.head, `entry ${journal.n} is not the one that it follows`);
      if (BigInt(entry.epoch) < journal.epoch) console.log(`void journal ${n}: its epoch is ${entry.epoch}`);
      else apply(journal, entry);
    } catch (error) {
      bad(`journal ${n}`, error.message);
    }
    Object.assign(journal, { n, head: sha256(bytes).toString("hex") });
  }
  return journal.n > 0n ? journal : (bad("journal", "it has no entries"), journal);
}
function apply(journal, { epoch, event }) {
  const { type, supersedes = [] } = event;
  must(EVENTS.includes(type), `its event ${type} is of a later version`);
  journal.epoch = BigInt(epoch);
  must([undefined, (journal.archiveId ??= event.archiveId)].includes(event.archiveId), "another archive's");
  const find = (name) => journal.segments.get(name) ?? must(false, `it is about ${name}, which is not sealed`);
  // The chunks of a packed segment were pruned in those that it is made of.
  const from = type === "packed" ? event.from : [];
  const pruned = new Set(from.flatMap(({ chunks }) => chunks).keys());
  if (event.root) journal.segments.set(event.segment, { ...event, pruned, superseded: new Set() });
  const gone = type === "superseded" ? [event] : [...supersedes, ...from];
  for (const { segment, chunks } of gone) for (const chunk of chunks) find(segment).superseded.add(chunk);
  const segment = event.segment && find(event.segment);
  for (const chunk of (type === "pruned" ? event.chunks : event.pruned) ?? []) segment.pruned.add(chunk);
  for (const chunk of event.sealed ?? []) segment.pruned.delete(chunk);
  if (type === "transitioned") Object.assign(segment, { nowIn: `, ${event.storageClass}`, pin: event.object });
  if (type.startsWith("expire")) segment.gone = type === "expired" ? "expired" : "expiring";
  for (const object of event.objects ?? []) journal.collected.add(versionOf(object));
}
async function requirePin(folder, what, { key, ...pin }) {
  const hash = createHash("sha256");
  await pipe(createReadStream(join(folder, key)), hash);
  const found = `${(await fs.stat(join(folder, key))).size} bytes of SHA-256 ${hash.read().toString("hex")}`;
  const sealed = `${pin.bytes} bytes of SHA-256 ${pin.sha256}`;
  must(found === sealed, `the ${what} has ${found}, sealed were ${sealed}`);
}

/** Sections 2, 6 and 7: one segment against what the journal says of it. */
async function verifySegment(folder, pipeline, { archiveId, collected, segments }, segment) {
  const sealed = segments.get(segment) ?? must(false, "the journal does not seal it");
  if (sealed.gone ?? collected.has(versionOf(sealed.pin ?? sealed.object))) return console.log(`${sealed.gone ?? "collected"} ${segment}`);
  const { rule, dayFrom, dayTo, rows, object, root, pruned, superseded, nowIn = "" } = sealed;
  const days = [`daily/rule=${rule}/dt=${dayFrom}`, `monthly/rule=${rule}/month=${dayFrom.slice(0, -3)}`];
  const path = `${pipeline}/${days[Number(dayFrom !== dayTo)]}/${segment}.parquet`;
  const manifestPath = `_firnline/${pipeline}/manifests/${segment}.json`;
  must(object.key === path && sealed.manifest.key === manifestPath, `it does not lie at ${path}`);
  await requirePin(folder, "manifest", sealed.manifest);
  const manifest = parseDocument(await fs.readFile(join(folder, manifestPath)));
  const claimed = { ...manifest, archiveId, pipeline, segment, rule, dayFrom, dayTo, rows, object, root };
  must(same(manifest, claimed), "the manifest contradicts the journal");
  await requirePin(folder, "object", object);
  await verifyRows(await asyncBufferFromFile(join(folder, path)), manifest);
  const leaves = manifest.chunks.map((chunk) => leafOf(manifest, chunk));
  must(rootOf(leaves).toString("hex") === root, "its chunks do not hash to its root");
  const counts = `${leaves.length} chunks, ${pruned.difference(superseded).size} pruned, ${superseded.size} superseded`;
  console.log(`ok ${segment} ${rows} rows ${counts}${nowIn}`);
}

/** Sections 7 to 9: every value of the file, a row group at a time. */
async function verifyRows(file, { chunks, columns, rowGroups, rows }) {
  const metadata = await parquetMetadataAsync(file);
  // Without logical types the values are physical: as a Date or a Number they would lose digits.
  metadata.schema = metadata.schema.map(({ converted_type, logical_type, ...element }) => element);
  const namesOf = (some) => some.map(({ name }) => name);
  must(same(namesOf(metadata.schema.slice(1)), namesOf(columns)), "the object has other columns");
  let [at, rowStart] = [0, 0];
  for (const [group, count] of rowGroups.entries()) {
    const mine = chunks.slice(at, at + count);
    const rowEnd = rowStart + mine.reduce((sum, chunk) => sum + chunk.rows, 0);
    must(Number(metadata.row_groups[group]?.num_rows) === rowEnd - rowStart, `row group ${group} has other rows`);
    const compressors = { ZSTD: (input) => zstdDecompressSync(input) };
    const values = await parquetReadObjects({ file, metadata, rowStart, rowEnd, utf8: false, compressors });
    for (const chunk of mine) {
      const part = values.splice(0, chunk.rows);
      for (const [index, column] of columns.entries()) {
        const digest = columnDigest(column, index, part, chunk);
        must(digest === chunk.digests[index], `chunk ${at}, column ${column.name}: other values than sealed`);
      }
      at += 1;
    }
    rowStart = rowEnd;
  }
  const read = [at, metadata.row_groups.length, String(metadata.num_rows)];
  must(same(read, [chunks.length, rowGroups.length, rows]), `it has ${read.join(", ")} chunks, groups, rows`);
}

const [folder, pipeline, only] = process.argv.slice(2);
must(pipeline, "usage: node verify-segment.mjs ARCHIVE_FOLDER PIPELINE [SEGMENT]");
const bad = (subject, what) => {
  process.exitCode = 1;
  console.log(`BAD ${subject}: ${what}`);
};
const journal = await walkJournal(join(folder, "_firnline", pipeline, "journal"), bad);
for (const segment of only === undefined ? journal.segments.keys() : [only])
  await verifySegment(folder, pipeline, journal, segment).catch((error) => bad(segment, error.message));
console.log(`journal of ${journal.n} entries, head ${journal.head}`);
