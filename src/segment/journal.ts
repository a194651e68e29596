/**
 * Journal entries: numbered, hash-chained objects in the archive, one chain a pipeline. An entry's number is the last
 * one's plus one and it holds that one's hash (I5). The chain is the archive's own history and, through exclusive
 * creation of the next number, the fence between two writers.
 */
import * as z from "zod";
import { FirnlineError } from "../errors.ts";
import { canonicalBytes, type Json } from "./canonical-json.ts";

export const JOURNAL_FORMAT = 1;
/** What the first entry names as its predecessor. */
export const GENESIS = "0".repeat(64);

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const decimal = z.string().regex(/^(0|[1-9][0-9]{0,18})$/);
const segment = z.string();
const chunkNumbers = z.array(z.int());
const chunksOf = z.strictObject({ segment, chunks: chunkNumbers });
/** Chunks of one segment. */
export type ChunksOf = z.infer<typeof chunksOf>;

const pin = z.strictObject({
  key: z.string(),
  versionId: z.string().nullable(),
  etag: z.string().nullable(),
  sha256: hex32,
  bytes: decimal,
});

const sourceIdentity = z.strictObject({
  systemIdentifier: z.string(),
  databaseOid: z.string(),
  tableOid: z.string(),
});
export type SourceIdentity = z.infer<typeof sourceIdentity>;

export const journalEventSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("run-started"),
    archiveId: z.uuid(),
    source: sourceIdentity,
    writer: z.string(),
  }),
  z.strictObject({ type: z.literal("policy"), policy: z.record(z.string(), z.json()) }),
  z.strictObject({
    type: z.literal("sealed"),
    segment,
    rule: z.string(),
    dayFrom: z.string(),
    dayTo: z.string(),
    rows: decimal,
    object: pin,
    manifest: pin,
    root: hex32,
    storageClass: z.string(),
    supersedes: z.array(chunksOf),
  }),
  z.strictObject({
    type: z.literal("packed"),
    segment,
    rule: z.string(),
    dayFrom: z.string(),
    dayTo: z.string(),
    rows: decimal,
    object: pin,
    manifest: pin,
    root: hex32,
    storageClass: z.string(),
    from: z.array(chunksOf).describe("Pruned chunks that the segment holds now, in its own chunks' order"),
  }),
  z.strictObject({ type: z.literal("superseded"), segment, chunks: chunkNumbers, reason: z.string() }),
  z.strictObject({
    type: z.literal("tombstoned"),
    segment,
    chunk: z.int(),
    rows: decimal,
    keys: z.array(z.array(z.string())).describe("Keys of the first of these rows"),
  }),
  z.strictObject({ type: z.literal("quarantined"), segment, chunks: chunkNumbers, reason: z.string() }),
  z.strictObject({
    type: z.literal("reconciled"),
    segment,
    pruned: chunkNumbers.describe("Their rows are in the archive alone"),
    sealed: chunkNumbers.describe("All of their rows are in the table"),
  }),
  z.strictObject({ type: z.literal("prune-started"), segment }),
  z.strictObject({ type: z.literal("pruned"), segment, chunks: chunkNumbers, rows: decimal }),
  z.strictObject({
    type: z.literal("deleted"),
    rule: z.string(),
    day: z.string(),
    rows: decimal,
    from: z.string(),
    to: z.string(),
  }),
  z.strictObject({
    type: z.literal("tagged"),
    segment,
    storageClass: z.string().describe("Where the bucket's rule on the tag is to move the object"),
  }),
  z.strictObject({ type: z.literal("transitioned"), segment, storageClass: z.string(), object: pin }),
  z.strictObject({
    type: z.literal("restored"),
    requestedBy: z.string(),
    retrieval: z.uuid().nullable(),
    tier: z.enum(["Expedited", "Standard", "Bulk"]),
    days: z.int().positive(),
    segments: z.array(segment).describe("Copies of their objects were asked for"),
    bytes: decimal,
  }),
  z.strictObject({
    type: z.literal("hold"),
    hold: z.uuid(),
    dayFrom: z.string(),
    dayTo: z.string().describe("Included, as dayFrom is"),
    reason: z.string(),
    placedBy: z.string(),
  }),
  z.strictObject({ type: z.literal("released"), hold: z.uuid(), reason: z.string(), releasedBy: z.string() }),
  z.strictObject({
    type: z.literal("expire-intent"),
    segment,
    keepDays: z.int().positive().describe("Age of the record at which the policy lets it expire"),
  }),
  z.strictObject({
    type: z.literal("expired"),
    segment,
    rows: decimal,
    objects: z.array(z.strictObject({ key: z.string(), versionId: z.string().nullable(), bytes: decimal })),
  }),
  z.strictObject({
    type: z.literal("retrieved"),
    retrieval: z.uuid(),
    requestedBy: z.string(),
    from: z.string(),
    to: z.string(),
    where: z.array(z.strictObject({ column: z.string(), value: z.string() })),
    rows: decimal,
    sha256: hex32,
  }),
  z.strictObject({
    type: z.literal("adopted"),
    archiveId: z.uuid(),
    source: sourceIdentity,
    previous: sourceIdentity,
    writer: z.string(),
  }),
  z.strictObject({
    type: z.literal("collected"),
    objects: z.array(z.strictObject({ key: z.string(), versionId: z.string().nullable(), bytes: decimal })),
  }),
]);
export type JournalEvent = z.infer<typeof journalEventSchema>;

export const journalEntrySchema = z.strictObject({
  format: z.literal(JOURNAL_FORMAT),
  n: decimal,
  prev: hex32,
  entryId: z.uuid(),
  run: z.string(),
  epoch: decimal,
  at: z.string(),
  event: journalEventSchema,
});
export type JournalEntry = z.infer<typeof journalEntrySchema>;

export interface JournalHead {
  /** The number of the last entry; 0n for an empty journal. */
  readonly n: bigint;
  /** SHA-256 of the last entry's bytes; `GENESIS` for an empty journal. */
  readonly sha256: string;
}

export const EMPTY_JOURNAL: JournalHead = { n: 0n, sha256: GENESIS };

/** What is known of an entry before it has its number. */
export type UnnumberedEntry = Pick<JournalEntry, "entryId" | "run" | "epoch" | "at" | "event">;

/**
 * The entries that deletions add to, batch by batch, until they are numbered: one a segment, one a day of a delete-only
 * rule. The same text tells the same entry.
 */
export const growthKey = (event: Growing): string =>
  event.type === "pruned" ? `pruned ${event.segment}` : `deleted ${event.rule} ${event.day}`;

type Growing =
  | Pick<Extract<JournalEvent, { type: "pruned" }>, "type" | "segment">
  | Pick<Extract<JournalEvent, { type: "deleted" }>, "type" | "rule" | "day">;

export function nextEntry(head: JournalHead, entry: UnnumberedEntry): JournalEntry {
  // I5: the number follows the head's, and the head's hash is in the entry.
  return { format: JOURNAL_FORMAT, n: (head.n + 1n).toString(), prev: head.sha256, ...entry };
}

export function encodeEntry(entry: JournalEntry): Uint8Array {
  return canonicalBytes(entry as unknown as Json);
}

/** Throws `E_FORMAT`. An event type that this version does not know is refused, not skipped: it may matter. */
export function decodeEntry(bytes: Uint8Array, subject: string): JournalEntry {
  const fail = (problem: string, cause?: unknown): FirnlineError =>
    new FirnlineError({
      code: "E_FORMAT",
      subject,
      problem,
      hint: "It was damaged or written by a newer version; nothing was changed",
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw fail("this is not JSON", cause);
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === "number" && format !== JOURNAL_FORMAT) {
    throw fail(`journal format ${format}, and this version of Firnline reads ${JOURNAL_FORMAT}`);
  }
  const parsed = journalEntrySchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw fail(
      `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "does not match the schema"}`,
      parsed.error,
    );
  }
  return parsed.data;
}
