/** What the fields of the policy's `archive` mean; see `notes.ts`. */
import { KEEP_PATTERN } from "./duration.ts";
import type { Note } from "./note.ts";
import { ARCHIVE_URL_PATTERN, REGION_PATTERN } from "./readers/archive-url.ts";
import { ACCOUNT_PATTERN, KMS_KEY_PATTERN } from "./readers/aws-name.ts";
import { COLUMN_PATTERN } from "./readers/identifier.ts";

export const ARCHIVE_NOTES = {
  archive: {
    title: "The archive",
    description: "Where the Parquet objects, manifests and the journal are kept.",
    hint: "Write a mapping with url",
  },
  "archive.url": {
    title: "URL of the archive",
    description:
      "s3://bucket/prefix or file:///absolute/path. Credentials come from the environment, never from here.",
    hint: "Write s3://bucket/prefix or file:///absolute/path",
    pattern: ARCHIVE_URL_PATTERN,
    examples: ["s3://acme-audit/firnline", "file:///var/lib/firnline"],
    charactersMax: 512,
  },
  "archive.region": {
    title: "Region of the bucket",
    description: "For s3:// only.",
    hint: "Write a region such as eu-central-1",
    pattern: REGION_PATTERN,
    examples: ["eu-central-1"],
    charactersMax: 32,
  },
  "archive.endpoint": {
    title: "Endpoint of an S3-compatible store",
    description:
      "Scheme, host and port of a store that is not AWS, for example https://s3.example.com or " +
      "http://localhost:9000.",
    hint: "Write its scheme, host and port, for example https://s3.example.com",
    examples: ["https://s3.example.com"],
    charactersMax: 256,
  },
  "archive.owner": {
    title: "Account that owns the bucket",
    description:
      "Every request names it, and S3 refuses a bucket of anybody else, such as one that was made anew under the name " +
      "of one that is gone. For AWS only.",
    hint: 'Write the twelve digits in quotes, for example "123456789012"',
    pattern: ACCOUNT_PATTERN,
    examples: ["123456789012"],
    charactersMax: 12,
  },
  "archive.recoveryWindow": {
    title: "How long objects stay that nothing names any more",
    description:
      "`firnline collect` removes superseded objects, and uploads that were given up, when it has seen them " +
      "twice, this many days apart. Longer than the time in which a backup of the database may be put back.",
    hint: "Write whole days, for example 14d",
    pattern: KEEP_PATTERN,
    examples: ["14d"],
  },
  "archive.lock": {
    title: "Object Lock",
    description:
      "Every object of the archive is locked from the moment its rows may leave Postgres: nobody removes it before " +
      "`keep` has passed. The bucket must have been made with Object Lock. For s3:// only.",
    hint: "Write { mode: governance, keep: 2555d }, or leave lock out",
  },
  "archive.lock.mode": {
    title: "Mode of the lock",
    description:
      "governance: who has the right to bypass it may remove an object. compliance: nobody can, and nobody can shorten it.",
    hint: "Write governance or compliance",
  },
  "archive.lock.keep": {
    title: "How long objects are locked",
    description:
      "Age of the RECORD until which its object is locked; entries of the journal count from when they are written. " +
      "Not longer than cold.keep. Shortening it later concerns new objects only, and wants --confirm-sooner.",
    hint: "Write whole days, for example 2555d",
    pattern: KEEP_PATTERN,
    examples: ["2555d"],
  },
  "archive.encryption": {
    title: "Encryption at rest",
    description: "Leave it out to take the bucket's default. For s3:// only.",
    hint: "Write { mode: SSE-S3 } or { mode: SSE-KMS, key: alias/audit }",
  },
  "archive.encryption.mode": {
    title: "Which keys encrypt",
    description: "SSE-S3: keys of the store. SSE-KMS: a key of yours in KMS.",
    hint: "Write SSE-S3 or SSE-KMS",
  },
  "archive.encryption.key": {
    title: "Key in KMS",
    description: "Its id, ARN or alias. Leave it out for the account's default key. For SSE-KMS only.",
    hint: "Write a key's id, ARN or alias, for example alias/audit",
    pattern: KMS_KEY_PATTERN,
    examples: ["alias/audit"],
    charactersMax: 512,
  },
  "archive.bloomFilters": {
    title: "Columns with bloom filters",
    description:
      "Retrievals with `--where column=value` read next to nothing of the objects that do not hold the value, and so " +
      "do DuckDB and other readers of Parquet. For columns of many values, such as a user's id; holds for new objects.",
    hint: "Write a list of column names, for example [actor_id]",
  },
  "archive.bloomFilters[]": {
    title: "Column with a bloom filter",
    description: "A column of the table, plain or in double quotes.",
    hint: "Write the name of one column, for example actor_id",
    pattern: COLUMN_PATTERN,
    examples: ["actor_id"],
    charactersMax: 130,
  },
} as const satisfies Readonly<Record<string, Note>>;
