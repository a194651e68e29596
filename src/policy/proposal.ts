/**
 * A first policy for a table: which column says when a row happened, which ones name it, and the file with the reasons
 * beside them. Pure: what is known of the table comes in, YAML that `parsePolicy` takes comes out.
 */
import { invariant } from "../errors.ts";
import { identifierText, tableText } from "./identifier-text.ts";
import { parsePolicy } from "./policy.ts";
import { readZone, type TableName } from "./readers/identifier.ts";

/** A column that an instant could be in. */
export interface TimeColumn {
  readonly name: string;
  readonly type: "timestamptz" | "timestamp";
  readonly notNull: boolean;
  /** A whole, valid index that begins with it; null where there is none. */
  readonly index: string | null;
}

/** A unique index that rows can be named by. */
export interface KeyIndex {
  readonly index: string;
  readonly isPrimary: boolean;
  readonly columns: readonly string[];
}

export interface ProposalInput {
  /** NAME of the environment variable with the connection string. */
  readonly connectionVariable: string;
  readonly table: TableName;
  readonly isPartitioned: boolean;
  /** In the table's order. */
  readonly times: readonly TimeColumn[];
  /** The primary key's first. */
  readonly keys: readonly KeyIndex[];
  /** Null: a place to be filled in. */
  readonly archiveUrl: string | null;
  /** The zone that sessions have by default: a guess for plain timestamps. */
  readonly zone: string | null;
  /** Lines for the head of the file, about the table as it was found. */
  readonly about: readonly string[];
}

export interface Proposal {
  readonly pipeline: string;
  readonly time: TimeColumn;
  readonly key: KeyIndex | null;
  /** YAML, with the reason of each choice beside it. */
  readonly text: string;
}

/** Names of columns that say when a row happened, the best first; without underscores. */
const EVENT_NAMES = [
  "ts",
  "createdat",
  "occurredat",
  "eventtime",
  "eventat",
  "loggedat",
  "recordedat",
  "insertedat",
  "happenedat",
  "timestamp",
  "eventts",
  "logtime",
  "created",
  "createdon",
  "time",
  "at",
];

/** What changes after the row was written, or lies ahead of it: a row would change its day, or leave too late. */
const CHANGING =
  /updat|modif|chang|delet|remov|expir|until|valid|due|next|last|latest|schedul|sync|refresh|finish|ended|closed|seen/;

const plainName = (name: string): string => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "");

function scoreOf({ name, type, notNull, index }: TimeColumn): number {
  const plain = plainName(name);
  const rank = EVENT_NAMES.indexOf(plain);
  return (
    (rank >= 0 ? 16 + (EVENT_NAMES.length - rank) / 100 : 0) +
    (CHANGING.test(plain) ? -32 : 0) +
    (type === "timestamptz" ? 8 : 0) +
    (notNull ? 4 : 0) +
    (index === null ? 0 : 2)
  );
}

/** The best column first; of equals the one that the table has first. */
export function rankTimes(times: readonly TimeColumn[]): TimeColumn[] {
  return [...times].sort((left, right) => scoreOf(right) - scoreOf(left));
}

const NAME_CHARACTERS_MAX = 63;

/** A permanent id made of the table's name, and of its schema's where that is not `public`. */
export function pipelineNameOf({ schema, name }: TableName): string {
  const text = schema === "public" ? name : `${schema}_${name}`;
  const plain = text
    .normalize("NFKD")
    .replaceAll(/(\p{Ll}|\p{N})(\p{Lu})/gu, "$1_$2")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .replaceAll(/^_+|_+$/g, "");
  const id = /^[a-z]/.test(plain) ? plain : `table_${plain}`;
  return id.slice(0, NAME_CHARACTERS_MAX).replace(/_+$/, "");
}

/** Throws `E_INTERNAL` if there is no time column: the caller has refused such a table. */
export function proposePolicy(input: ProposalInput): Proposal {
  const { archiveUrl, connectionVariable, isPartitioned, table } = input;
  const pipeline = pipelineNameOf(table);
  const [time, ...others] = rankTimes(input.times);
  invariant(time !== undefined, tableText(table), "a policy needs a time column");
  const key = input.keys[0] ?? null;
  const lines = [
    ...input.about.map((line) => comment(line)),
    "# yaml-language-server: $schema=../schemas/pipeline.schema.json",
    "version: 1",
    comment("Permanent: it is part of every object key."),
    `pipeline: ${yamlText(pipeline)}`,
    "source:",
    comment("The NAME of the environment variable that holds the connection string.", 2),
    `  connection: ${yamlText(connectionVariable)}`,
    `  table: ${yamlText(tableText(table))}`,
    ...timeReasons(time, others).map((line) => comment(line, 2)),
    `  time: ${yamlText(identifierText(time.name))}`,
    ...zoneLines(time, input.zone),
    ...keyLines(key),
    "archive:",
    comment(
      archiveUrl === null
        ? "Put your own here: s3://bucket/prefix, or a folder. It cannot be changed after the first run."
        : "It cannot be changed after the first run.",
      2,
    ),
    `  url: ${yamlText(archiveUrl ?? ARCHIVE_PLACEHOLDER)}`,
    ...(archiveUrl?.startsWith("s3:") === true ? ["  #region: eu-central-1"] : []),
    "tiers:",
    comment("Ages of the RECORD, counted from the end of its UTC day. Rows are in Postgres for so long,", 2),
    "  hot:  { keep: 30d }",
    comment(
      "then in Parquet that can be read at once (PCI DSS asks for 3 months of that, and 12 in all),",
      2,
    ),
    "  warm: { keep: 365d, storageClass: STANDARD }",
    comment("then in a class that must be restored first: 12 to 48 hours.", 2),
    "  cold: { storageClass: DEEP_ARCHIVE, keep: forever }",
    comment("Rows of their own retention come first, for example:"),
    comment(`rules: [{ name: access_denied, when: "action = 'access_denied'", hot: 30d, archive: false }]`),
    ...pruneLines(key, isPartitioned),
  ];
  const text = `${lines.join("\n")}\n`;
  // What was meant is what a reader finds, whatever the names are.
  const { source } = parsePolicy(text, `${pipeline}.yaml`);
  const found = [source.table.schema, source.table.name, source.time, ...(source.key ?? [])];
  const meant = [table.schema, table.name, time.name, ...(key?.columns ?? [])];
  invariant(
    JSON.stringify(found) === JSON.stringify(meant),
    tableText(table),
    "the proposed policy names something else",
  );
  return { pipeline, time, key, text };
}

const ARCHIVE_PLACEHOLDER = "file:///var/lib/firnline";

function timeReasons(time: TimeColumn, others: readonly TimeColumn[]): string[] {
  const { index, notNull, type } = time;
  const facts = [
    type,
    notNull ? "NOT NULL" : "may be NULL, and such rows stay here for ever",
    index === null
      ? "no index begins with it, so that every run scans the whole table: add one first"
      : `index ${index} begins with it`,
  ];
  const also = others.slice(0, 5).map((other) => `${other.name} (${other.type})`);
  return [
    `When a row happened: ${facts.join("; ")}.`,
    ...(CHANGING.test(plainName(time.name)) || !EVENT_NAMES.includes(plainName(time.name))
      ? ["Make sure of it: it must not change after the row was written."]
      : []),
    ...(also.length === 0 ? [] : [`Also there: ${also.join(", ")}.`]),
  ];
}

/** Nobody but the owner knows the zone: a wrong one would cut the days in the wrong places for ever. */
function zoneLines(time: TimeColumn, zone: string | null): string[] {
  if (time.type === "timestamptz") return [];
  return [
    comment(
      "A plain timestamp has no zone. Which one are its values written in? Nothing runs until it is said,",
      2,
    ),
    comment("and it cannot be changed after the first run: write the right one, and remove the #.", 2),
    `  #zone: ${zone !== null && readZone(zone).ok ? zone : "UTC"}`,
  ];
}

function keyLines(key: KeyIndex | null): string[] {
  if (key === null) return [];
  const what = key.isPrimary
    ? "The primary key."
    : `Unique, not null: index ${key.index}. There is no usable primary key.`;
  const columns = key.columns.map((name) => yamlText(identifierText(name))).join(", ");
  return [comment(what, 2), `  key: [${columns}]`];
}

function pruneLines(key: KeyIndex | null, isPartitioned: boolean): string[] {
  if (key === null) {
    return [
      comment("It has no key, so that rows can only go with their whole partitions."),
      "prune: partitions",
    ];
  }
  return [
    comment(
      `${isPartitioned ? "Whole partitions are dropped where they can be, rows deleted elsewhere" : "Rows are deleted"} ` +
        "once they are archived and verified. off: archive only.",
    ),
    "prune: auto",
  ];
}

const LINE_CHARACTERS_MAX = 300;

/** A name in a comment must not end it, nor steer a terminal. */
function comment(text: string, indent = 0): string {
  const safe = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "?");
  const clipped = safe.length > LINE_CHARACTERS_MAX ? `${safe.slice(0, LINE_CHARACTERS_MAX)}...` : safe;
  return `${" ".repeat(indent)}# ${clipped}`;
}

/** Words that YAML, of this version or the last, takes for something else than a text. */
const YAML_WORD = /^(?:true|false|yes|no|on|off|y|n|null)$/i;

/** A scalar within a flow or a block. JSON is YAML; what YAML wants escaped besides is escaped. */
function yamlText(text: string): string {
  if (/^[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?$/i.test(text) && !YAML_WORD.test(text)) return text;
  if (/^(?:s3|file):\/\/[A-Za-z0-9/_.-]+$/.test(text)) return text;
  return JSON.stringify(text).replaceAll(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}\ufffe\uffff]/gu, (character) => {
    const code = (character.codePointAt(0) as number).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}
