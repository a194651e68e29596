/**
 * The shape of the policy file. Strict everywhere: a key that is not here is refused, because a misspelt
 * retention that is silently ignored deletes too early. What must hold *between* fields is in `coherence.ts`.
 */
import { z } from "zod";

import { readKeep, readKeepOrForever, readWindow } from "./duration.ts";
import type { Note } from "./note.ts";
import { NOTES, type FieldPath } from "./notes.ts";
import { readArchiveUrl, readEndpoint, readRegion } from "./readers/archive-url.ts";
import { readAccount, readKmsKey, readVault } from "./readers/aws-name.ts";
import { readBytes } from "./readers/bytes.ts";
import {
  readColumn,
  readName,
  readRuleName,
  readTable,
  readVariableName,
  readZone,
} from "./readers/identifier.ts";
import { readPredicate } from "./readers/predicate.ts";
import { refuse, type Reading } from "./readers/reading.ts";

/** Each is colder than the one before, as S3 orders them; the last three need a restore. */
export const STORAGE_CLASSES = [
  "STANDARD",
  "STANDARD_IA",
  "INTELLIGENT_TIERING",
  "GLACIER_IR",
  "GLACIER",
  "DEEP_ARCHIVE",
  // No class of S3: a vault of S3 Glacier (`tiers.cold.vault`).
  "GLACIER_VAULT",
] as const;
export type StorageClass = (typeof STORAGE_CLASSES)[number];

export const PRUNE_MODES = ["auto", "rows", "partitions", "off"] as const;
export type PruneMode = (typeof PRUNE_MODES)[number];

const WARM_CLASSES = ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"] as const;
const COLD_CLASSES = ["STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"] as const;

export const LOCK_MODES = ["governance", "compliance"] as const;
const ENCRYPTION_MODES = ["SSE-S3", "SSE-KMS"] as const;
export const TRANSITION_MODES = ["lifecycle", "copy"] as const;
export type TransitionMode = (typeof TRANSITION_MODES)[number];

const RULES_MAX = 64;
/** INDEX_MAX_KEYS of Postgres. */
const KEY_COLUMNS_MAX = 32;
/** Each costs some percent of the archive. */
const BLOOM_FILTERS_MAX = 8;

const TEXT_CHARACTERS_MAX = 64;

/** The part of a note that belongs into the JSON Schema. */
function meta(path: FieldPath): Record<string, unknown> {
  const { title, description } = NOTES[path];
  return { title, description };
}

/** A text, read by `read`; problem and hint travel in the issue, for `findings.ts`. */
function text<T>(path: FieldPath, read: (text: string) => Reading<T>) {
  const { pattern, examples, charactersMax = TEXT_CHARACTERS_MAX }: Note = NOTES[path];
  const refuseLong = (value: string): Reading<T> =>
    refuse(`longer than ${charactersMax} characters (found ${value.length})`);
  const own = { ...(pattern !== undefined && { pattern }), ...(examples && { examples }) };
  return z
    .string()
    .meta({ ...meta(path), ...own, minLength: 1, maxLength: charactersMax })
    .transform((value, context): T => {
      const reading = value.length > charactersMax ? refuseLong(value) : read(value);
      if (reading.ok) return reading.value;
      context.addIssue({ code: "custom", message: reading.problem, params: { hint: reading.hint } });
      return z.NEVER;
    });
}

const source = z
  .strictObject({
    connection: text("source.connection", readVariableName),
    table: text("source.table", readTable),
    time: text("source.time", readColumn),
    zone: text("source.zone", readZone).optional(),
    key: z
      .array(text("source.key[]", readColumn))
      .min(1)
      .max(KEY_COLUMNS_MAX)
      .meta(meta("source.key"))
      .optional(),
  })
  .meta(meta("source"));

const archive = z
  .strictObject({
    url: text("archive.url", readArchiveUrl),
    region: text("archive.region", readRegion).optional(),
    endpoint: text("archive.endpoint", readEndpoint).optional(),
    owner: text("archive.owner", readAccount).optional(),
    recoveryWindow: text("archive.recoveryWindow", readWindow).prefault("14d"),
    lock: z
      .strictObject({
        mode: z.enum(LOCK_MODES).meta(meta("archive.lock.mode")),
        keep: text("archive.lock.keep", readKeep),
      })
      .meta(meta("archive.lock"))
      .optional(),
    encryption: z
      .strictObject({
        mode: z.enum(ENCRYPTION_MODES).meta(meta("archive.encryption.mode")),
        key: text("archive.encryption.key", readKmsKey).optional(),
      })
      .meta(meta("archive.encryption"))
      .optional(),
    bloomFilters: z
      .array(text("archive.bloomFilters[]", readColumn))
      .max(BLOOM_FILTERS_MAX)
      .default([])
      .meta(meta("archive.bloomFilters")),
  })
  .meta(meta("archive"));

const tiers = z
  .strictObject({
    hot: z.strictObject({ keep: text("tiers.hot.keep", readKeep) }).meta(meta("tiers.hot")),
    warm: z
      .strictObject({
        keep: text("tiers.warm.keep", readKeep),
        storageClass: z.enum(WARM_CLASSES).default("STANDARD").meta(meta("tiers.warm.storageClass")),
      })
      .meta(meta("tiers.warm")),
    cold: z
      .strictObject({
        storageClass: z.enum(COLD_CLASSES).default("DEEP_ARCHIVE").meta(meta("tiers.cold.storageClass")),
        vault: text("tiers.cold.vault", readVault).optional(),
        transition: z.enum(TRANSITION_MODES).meta(meta("tiers.cold.transition")).optional(),
        keep: text("tiers.cold.keep", readKeepOrForever).prefault("forever"),
        objectBytesMin: text("tiers.cold.objectBytesMin", readBytes).optional(),
      })
      .meta(meta("tiers.cold"))
      .optional(),
  })
  .meta(meta("tiers"));

const rule = z
  .strictObject({
    name: text("rules[].name", readRuleName),
    when: text("rules[].when", readPredicate),
    hot: text("rules[].hot", readKeep).optional(),
    warm: text("rules[].warm", readKeep).optional(),
    cold: text("rules[].cold", readKeepOrForever).optional(),
    archive: z.boolean().default(true).meta(meta("rules[].archive")),
  })
  .meta(meta("rules[]"));

/** One file of `pipelines/`. */
export const policyFile = z
  .strictObject({
    version: z.literal(1).meta(meta("version")),
    pipeline: text("pipeline", readName),
    source,
    archive,
    tiers,
    rules: z.array(rule).max(RULES_MAX).default([]).meta(meta("rules")),
    prune: z.enum(PRUNE_MODES).default("auto").meta(meta("prune")),
  })
  .meta(meta(""));

/** The file after reading: defaults filled in, texts turned into values. */
export type PolicyFile = z.output<typeof policyFile>;

const KNOWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(policyFile.shape),
  source: Object.keys(source.shape),
  archive: Object.keys(archive.shape),
  "archive.lock": Object.keys(archive.shape.lock.unwrap().shape),
  "archive.encryption": Object.keys(archive.shape.encryption.unwrap().shape),
  tiers: Object.keys(tiers.shape),
  "tiers.hot": Object.keys(tiers.shape.hot.shape),
  "tiers.warm": Object.keys(tiers.shape.warm.shape),
  "tiers.cold": Object.keys(tiers.shape.cold.unwrap().shape),
  "rules[]": Object.keys(rule.shape),
};

/** The keys of the mapping at `fieldPath`, for "did you mean". */
export function knownKeys(fieldPath: string): readonly string[] {
  return KNOWN_KEYS[fieldPath] ?? [];
}
