/**
 * What each field of the policy file means, said once: editors show it while typing (through the JSON
 * Schema), error messages end with its hint. A field is named by its path with list positions left out, as in
 * `rules[].when`.
 */
import { ARCHIVE_NOTES } from "./archive-notes.ts";
import { KEEP_OR_FOREVER_PATTERN, KEEP_PATTERN } from "./duration.ts";
import type { Note } from "./note.ts";
import { VAULT_PATTERN } from "./readers/aws-name.ts";
import { BYTES_PATTERN } from "./readers/bytes.ts";
import { COLUMN_PATTERN, NAME_PATTERN, TABLE_PATTERN, VARIABLE_PATTERN } from "./readers/identifier.ts";

const WARM_KEEP =
  "Age at which a day's records leave the warm tier, counted from the end of the RECORD's UTC day, not " +
  "from the upload. Longer than hot.keep. Without a cold tier objects stay warm and never expire.";

export const NOTES = {
  "": {
    title: "Firnline pipeline",
    description:
      "One table: where it is, how long its rows stay where, and where they go. Retention comes from " +
      "here alone.",
    hint: "Write a mapping with version, pipeline, source, archive and tiers",
  },
  version: { title: "Version of this format", description: "Always 1.", hint: "Write version: 1" },
  pipeline: {
    title: "Name of the pipeline",
    description:
      "A permanent id: it is part of every object key. Lower-case letters, digits and underscores.",
    hint: "Write up to 63 lower-case letters, digits and underscores, beginning with a letter",
    pattern: NAME_PATTERN,
    examples: ["audit_logs"],
    charactersMax: 63,
  },
  source: {
    title: "The Postgres table",
    description: "Which table, where, and which of its columns say when a row happened and which row it is.",
    hint: "Write a mapping with connection, table and time",
  },
  "source.connection": {
    title: "Environment variable with the connection string",
    description:
      "The NAME of an environment variable, never the connection string itself. Secrets stay out of files.",
    hint: "Put the NAME of the environment variable that holds it here, for example DATABASE_URL",
    pattern: VARIABLE_PATTERN,
    examples: ["DATABASE_URL"],
    charactersMax: 128,
  },
  "source.table": {
    title: "Table",
    description:
      "schema.table, as in psql. Names with capitals or odd characters stand in double quotes, and the " +
      'whole in single quotes: \'"We""ird"."Table"\'.',
    hint: "Write schema.table, for example public.audit_logs",
    pattern: TABLE_PATTERN,
    examples: ["public.audit_logs", '"We""ird"."Table"'],
    charactersMax: 260,
  },
  "source.time": {
    title: "Time column",
    description:
      "The column that ages are counted from: a timestamptz, or a plain timestamp together with zone. " +
      "A row belongs to the UTC day of this column.",
    hint: "Write the name of the column that says when a row happened, for example created_at",
    pattern: COLUMN_PATTERN,
    examples: ["created_at"],
    charactersMax: 130,
  },
  "source.zone": {
    title: "Zone of a plain timestamp",
    description: "IANA name of the zone that a timestamp WITHOUT time zone is meant in. Not for timestamptz.",
    hint: "Write an IANA name such as UTC or Europe/Berlin; offsets are not possible",
    examples: ["UTC", "Europe/Berlin"],
    charactersMax: 64,
  },
  "source.key": {
    title: "Key columns",
    description: "Columns of a unique, not null, not deferrable index. Default: the primary key.",
    hint: "Write a list of column names, for example [id]",
  },
  "source.key[]": {
    title: "Key column",
    description: "A column of the key, plain or in double quotes.",
    hint: "Write the name of one column, for example id",
    pattern: COLUMN_PATTERN,
    charactersMax: 130,
  },
  ...ARCHIVE_NOTES,
  tiers: {
    title: "Tiers",
    description:
      "How long records stay hot (Postgres), warm (Parquet, readable at once) and cold (Glacier classes).",
    hint: "Write a mapping with hot, warm and, if wanted, cold",
  },
  "tiers.hot": {
    title: "Hot: rows in Postgres",
    description: "Rows that Postgres answers for.",
    hint: "Write { keep: 30d }",
  },
  "tiers.hot.keep": {
    title: "Days in Postgres",
    description: "A UTC day is due when its end plus this many days has passed. At least 1d.",
    hint: "Write whole days, for example 30d",
    pattern: KEEP_PATTERN,
    examples: ["30d", "90d"],
  },
  "tiers.warm": {
    title: "Warm: Parquet that is readable at once",
    description: "ZSTD Parquet by day, in a storage class without restore.",
    hint: "Write { keep: 365d }",
  },
  "tiers.warm.keep": {
    title: "Age at which records leave warm",
    description: WARM_KEEP,
    hint: "Write whole days, for example 365d",
    pattern: KEEP_PATTERN,
    examples: ["365d"],
  },
  "tiers.warm.storageClass": {
    title: "Storage class of the warm tier",
    description: "A class that needs no restore.",
    hint: "Classes that keep one copy in one zone, or that need a restore, are not offered here",
  },
  "tiers.cold": {
    title: "Cold: a Glacier class",
    description: "Objects older than warm.keep move to this class. Leave it out to keep everything warm.",
    hint: "Write { storageClass: DEEP_ARCHIVE, keep: forever }, or leave cold out",
  },
  "tiers.cold.storageClass": {
    title: "Storage class of the cold tier",
    description:
      "GLACIER and DEEP_ARCHIVE need hours of restore before they can be read, and bill 90 and 180 " +
      "days at least.",
    hint: "Classes that keep one copy in one zone are not offered",
  },
  "tiers.cold.vault": {
    title: "Vault of S3 Glacier",
    description:
      "For owners of existing vaults; AWS takes no new customers for them. Objects move out of the bucket into this " +
      "vault, in the region of the archive. Instead of storageClass.",
    hint: "Write the name of your vault, or leave vault out and name a storageClass",
    pattern: VAULT_PATTERN,
    examples: ["acme-audit"],
    charactersMax: 255,
  },
  "tiers.cold.transition": {
    title: "Who moves objects to the cold class",
    description:
      "lifecycle: Firnline tags them and a rule of the bucket moves them (`firnline lifecycle`), within days. " +
      "copy: Firnline copies them in place at once; the bucket must keep versions. Default: lifecycle on S3, " +
      "copy on files and for vaults.",
    hint: "Write lifecycle or copy",
  },
  "tiers.cold.keep": {
    title: "Age at which records expire",
    description:
      "Age of the RECORD at which its object is deleted for good, or forever. Longer than warm.keep.",
    hint: "Write whole days, for example 2555d, or forever",
    pattern: KEEP_OR_FOREVER_PATTERN,
    examples: ["forever", "2555d"],
  },
  "tiers.cold.objectBytesMin": {
    title: "Smallest object that goes cold",
    description:
      "Smaller ones are packed by month first; what is still smaller stays warm. Default: 128KiB on " +
      "S3, where each cold object costs 40 KB of overhead, and 0B on files.",
    hint: "Write a whole number of B, KiB, MiB or GiB, for example 128KiB",
    pattern: BYTES_PATTERN,
    examples: ["128KiB"],
    charactersMax: 20,
  },
  rules: {
    title: "Rules",
    description:
      "Rows with a retention of their own. The first rule that matches wins; the rest follows tiers.",
    hint: "Write a list of rules, each with a name and a when",
  },
  "rules[]": {
    title: "Rule",
    description: "A named predicate; what it does not say follows tiers.",
    hint: "Write { name: access_denied, when: \"action = 'access_denied'\", hot: 30d }",
  },
  "rules[].name": {
    title: "Name of the rule",
    description: "A permanent id: it is part of object keys. Unique in the file; not default.",
    hint: "Write up to 63 lower-case letters, digits and underscores, beginning with a letter",
    pattern: NAME_PATTERN,
    charactersMax: 63,
  },
  "rules[].when": {
    title: "Predicate",
    description:
      "SQL over the columns of the table, as an index predicate allows it: immutable, no subqueries. " +
      "NULL counts as no.",
    hint: "Write a boolean expression as text, for example \"action = 'access_denied'\"",
    examples: ["action = 'access_denied'"],
    charactersMax: 8192,
  },
  "rules[].hot": {
    title: "Days in Postgres",
    description: "Overrides tiers.hot.keep for the rows of this rule.",
    hint: "Write whole days, for example 30d",
    pattern: KEEP_PATTERN,
  },
  "rules[].warm": {
    title: "Age at which records leave warm",
    description: "Overrides tiers.warm.keep for the rows of this rule. Not for a rule with archive: false.",
    hint: "Write whole days, for example 365d",
    pattern: KEEP_PATTERN,
  },
  "rules[].cold": {
    title: "Age at which records expire",
    description: "Overrides tiers.cold.keep for the rows of this rule. Not for a rule with archive: false.",
    hint: "Write whole days, for example 2555d, or forever",
    pattern: KEEP_OR_FOREVER_PATTERN,
  },
  "rules[].archive": {
    title: "Archive before deleting",
    description: "false deletes the rows of this rule after their hot time WITHOUT archiving them.",
    hint: "Write true, or false to delete without archiving",
  },
  prune: {
    title: "How rows leave Postgres",
    description:
      "auto drops whole native partitions where it can and deletes rows elsewhere; rows and partitions " +
      "insist on one way; off archives only and deletes nothing.",
    hint: "Write auto, rows or partitions, or off to archive and delete nothing",
  },
} as const satisfies Record<string, Note>;

export type FieldPath = keyof typeof NOTES;

/** The note of a field, or `null` for a path that the file does not have. */
export function noteOf(fieldPath: string): Note | null {
  return Object.hasOwn(NOTES, fieldPath) ? NOTES[fieldPath as FieldPath] : null;
}
