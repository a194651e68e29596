/**
 * The manifest: the immutable description of one segment, written beside it in the archive. Everything that is needed
 * to verify and read the segment without Firnline and without the database is in here. `schemas/manifest.schema.json`
 * is generated from this schema; `schemas/FORMAT.md` explains it.
 */
import * as z from "zod";
import { FirnlineError } from "../errors.ts";
import { SELECTIONS, VALUE_KINDS } from "../rows/column.ts";
import { fromHex, toHex } from "../rows/hex.ts";
import { canonicalBytes, type Json } from "./canonical-json.ts";
import { leafDigest, merkleRoot, type NewSha256 } from "./digest.ts";

export const MANIFEST_FORMAT = 1;

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const decimal = z.string().regex(/^(0|[1-9][0-9]{0,18})$/);
const day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/);

const boundSchema = z.strictObject({
  time: z.string().describe("Text form of the time column; a timestamptz is in UTC"),
  key: z
    .array(z.string())
    .readonly()
    .nullable()
    .describe("One text a key column; null: before every row of that time"),
});

const columnSchema = z.strictObject({
  name: z.string(),
  attribute: z.string(),
  attnum: z.int(),
  type: z.string().describe("The declared Postgres type"),
  select: z.enum(SELECTIONS).describe("How the attribute is selected; see FORMAT.md"),
  kind: z.enum(VALUE_KINDS).describe("The binary form of a field; see FORMAT.md"),
  precision: z.int().nullable(),
  scale: z.int().nullable(),
});

const exceptionSchema = z.strictObject({
  column: z.int().describe("Index into columns"),
  row: z.int().describe("Row within the chunk, from 0"),
  rows: z.int().positive().describe("So many rows from there on have this field"),
  field: z
    .string()
    .regex(/^([0-9a-f]{2})*$/)
    .describe("The field's bytes without the length word; they replace the cell"),
});

const chunkSchema = z.strictObject({
  segment: z.string().describe("The segment that the digest was taken in; packing keeps it"),
  day,
  rows: z.int().positive(),
  from: boundSchema,
  to: boundSchema,
  salts: z.array(hex(16)),
  digests: z.array(hex(32)),
  exceptions: z.array(exceptionSchema),
  table: z
    .strictObject({ schema: z.string(), name: z.string() })
    .optional()
    .describe(
      "The table that its rows were in, where it is not the manifest's: a packed segment has several",
    ),
});

const filterSchema = z.strictObject({
  rowGroup: z.int().nonnegative(),
  column: z.int().nonnegative().describe("Index into columns"),
  start: decimal.describe("Where its blocks begin in the object, behind the filter's header"),
  bytes: z.int().positive().describe("Of its blocks"),
  partBytes: z.int().positive().describe("Of each part; the last one may be shorter"),
  parts: z.array(hex(32)).min(1).describe("SHA-256 of each part, in order"),
});

const apartSchema = z
  .strictObject({ filters: z.array(filterSchema).min(1), start: decimal, sha256: hex(32) })
  .describe(
    "The same again, for a reader of less: bloom filters by parts, and from start on what is behind them",
  );

export const manifestSchema = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  archiveId: z.uuid(),
  pipeline: z.string(),
  segment: z.string(),
  rule: z.string(),
  predicate: z.string().nullable().describe("The rule as SQL, rules before it excluded; null: every row"),
  dayFrom: day,
  dayTo: day,
  table: z.strictObject({ schema: z.string(), name: z.string(), oid: z.string() }),
  source: z.strictObject({
    systemIdentifier: z.string(),
    databaseOid: z.string(),
    tableOid: z.string(),
  }),
  fingerprint: hex(32).describe("SHA-256 of the table's definition at the time of the export"),
  time: z.strictObject({ column: z.string(), zone: z.string().nullable() }),
  key: z
    .array(z.string())
    .describe("Empty: the table had no key, and its rows are in the order of their texts; see FORMAT.md"),
  columns: z.array(columnSchema).min(1),
  rows: decimal,
  object: z.strictObject({
    key: z.string(),
    versionId: z.string().nullable(),
    etag: z.string().nullable(),
    sha256: hex(32),
    bytes: decimal,
  }),
  rowGroups: z.array(z.int().positive()).describe("Chunks in each row group, in order"),
  index: z
    .strictObject({ start: decimal, sha256: hex(32), apart: apartSchema.optional() })
    .optional()
    .describe(
      "SHA-256 of the object's bytes from start to its end: indexes, bloom filters and footer. Without it nothing is " +
        "skipped on their account",
    ),
  chunks: z.array(chunkSchema).min(1),
  root: hex(32),
  run: z.string(),
  epoch: decimal,
  exportedAt: z.string(),
  writer: z.string(),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestChunk = z.infer<typeof chunkSchema>;
export type FieldException = z.infer<typeof exceptionSchema>;
export type PinnedFilter = z.infer<typeof filterSchema>;

/** The table that a chunk's rows were in. */
export function tableOf(
  { table }: Pick<Manifest, "table">,
  chunk: Pick<ManifestChunk, "table">,
): { readonly schema: string; readonly name: string } {
  const { schema, name } = chunk.table ?? table;
  return { schema, name };
}

/** What a chunk's leaf binds besides its content. Permanent: a change here is a new format. */
export function chunkHeader(
  manifest: Pick<Manifest, "archiveId" | "pipeline" | "rule" | "table" | "columns">,
  chunk: Omit<ManifestChunk, "digests" | "salts" | "exceptions">,
): Json {
  return {
    archiveId: manifest.archiveId,
    pipeline: manifest.pipeline,
    segment: chunk.segment,
    rule: manifest.rule,
    day: chunk.day,
    table: tableOf(manifest, chunk),
    from: chunk.from,
    to: chunk.to,
    rows: chunk.rows,
    columns: manifest.columns.map((column) => ({
      name: column.name,
      type: column.type,
      kind: column.kind,
      select: column.select,
    })),
  };
}

export function manifestRoot(newHash: NewSha256, manifest: Omit<Manifest, "root">): string {
  const leaves = manifest.chunks.map((chunk) =>
    leafDigest(newHash, chunkHeader(manifest, chunk), chunk.digests.map(fromHex)),
  );
  return toHex(merkleRoot(newHash, leaves));
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  return canonicalBytes(manifest as unknown as Json);
}

/** Throws `E_FORMAT` for another version, a damaged text, or chunks that do not hash to the root. */
export function decodeManifest(newHash: NewSha256, bytes: Uint8Array, subject: string): Manifest {
  const fail = (problem: string, cause?: unknown): FirnlineError =>
    new FirnlineError({
      code: "E_FORMAT",
      subject,
      problem,
      hint: "It was damaged or written by another version; compare its SHA-256 with the journal",
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw fail("this is not JSON", cause);
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (format !== MANIFEST_FORMAT)
    throw fail(`manifest format ${JSON.stringify(format)}, this version reads 1`);
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw fail(
      `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "does not match the schema"}`,
      parsed.error,
    );
  }
  const manifest = parsed.data;
  const columns = manifest.columns.length;
  const total = manifest.chunks.reduce((sum, chunk) => sum + BigInt(chunk.rows), 0n);
  if (total !== BigInt(manifest.rows))
    throw fail(`chunks hold ${total} rows, the manifest says ${manifest.rows}`);
  if (manifest.chunks.some((chunk) => chunk.digests.length !== columns || chunk.salts.length !== columns)) {
    throw fail(`a chunk does not have ${columns} digests and salts`);
  }
  if (manifest.rowGroups.reduce((sum, count) => sum + count, 0) !== manifest.chunks.length) {
    throw fail("the row groups do not hold all chunks");
  }
  if (manifestRoot(newHash, manifest) !== manifest.root) throw fail("the chunks do not hash to the root");
  return manifest;
}
