/** Which columns name a row: those the policy says, or the primary key's, if a sound unique index holds them. Pure. */
import { FirnlineError } from "../../errors.ts";
import type { Column } from "../../rows/column.ts";
import { KEY_KINDS } from "../../rows/key-range.ts";
import { quoteIdentifier, quoteTable } from "../../postgres/quote.ts";
import type { IndexFacts, TableFacts } from "./table-facts.ts";

interface KeyRequest {
  /** What the policy names; null for the primary key. */
  readonly key: readonly string[] | null;
  /** Whether whole native partitions may be dropped, or must be. */
  readonly drops?: "never" | "where possible" | "only";
  /** The database's. */
  readonly encoding: string;
}

/**
 * Indexes into `columns`, in the key's order. None where there is no key and whole partitions can be dropped instead of
 * rows. Throws `E_KEY`.
 */
export function chooseKey(
  subject: string,
  columns: readonly Column[],
  facts: TableFacts,
  request: KeyRequest,
): readonly number[] {
  const mayLackKey = facts.kind === "p" && (request.drops ?? "never") !== "never";
  return chooseNames(subject, facts, request.key, mayLackKey).map((name) => {
    const index = columns.findIndex((column) => column.attribute === name && column.select === "value");
    const column = columns[index];
    const attribute = facts.attributes.find((one) => one.name === name);
    if (column === undefined || !KEY_KINDS.has(column.kind) || attribute?.base.name === "bpchar") {
      throw new FirnlineError({
        code: "E_KEY",
        subject: `${subject}.${name}`,
        problem: `type ${attribute?.type} has no order that Firnline can rely on`,
        hint: "Choose a key of integers, uuid, text, bytea, dates or times",
      });
    }
    if (column.kind === "text" && request.encoding !== "UTF8") {
      // Postgres would sort by the server's bytes, and the digests are taken in the order of UTF-8.
      throw new FirnlineError({
        code: "E_KEY",
        subject: `${subject}.${name}`,
        problem: `a text key sorts by the database's encoding, which is ${request.encoding}`,
        hint: "Choose another key, or move the table to a UTF8 database",
      });
    }
    return index;
  });
}

const isUsable = (index: IndexFacts): boolean =>
  index.unique &&
  index.valid &&
  index.immediate &&
  !index.partial &&
  !index.expression &&
  index.method === "btree";

function chooseNames(
  subject: string,
  facts: TableFacts,
  wanted: readonly string[] | null,
  mayLackKey: boolean,
): readonly string[] {
  const candidates = facts.indexes.filter((index) => index.columns !== null && isUsable(index));
  const primary = candidates.find((index) => index.primary);
  const names = wanted ?? primary?.columns ?? null;
  const flawed = facts.indexes.filter((index) => index.unique && !isUsable(index));
  const found = flawed.length === 0 ? "" : ` (found ${flawed.map(describeIndex).join(", ")})`;
  const fail = (problem: string): FirnlineError =>
    new FirnlineError({
      code: "E_KEY",
      subject,
      problem,
      hint: "Add a unique index over NOT NULL columns, or set source.key to one that exists",
      fix: repair(facts, names, candidates, flawed),
    });
  if (names === null && mayLackKey) return [];
  if (names === null) throw fail(`no primary key and no source.key${found}`);
  if (!candidates.some((index) => isOver(index, names))) {
    throw fail(`no unique, valid, immediate index is on exactly (${names.join(", ")})${found}`);
  }
  for (const name of names) if (isNullable(facts, name)) throw fail(`key column ${name} may be NULL`);
  return names;
}

const isOver = (index: IndexFacts, names: readonly string[]): boolean =>
  index.columns?.length === names.length && names.every((name) => index.columns?.includes(name));

const isNullable = (facts: TableFacts, name: string): boolean =>
  facts.attributes.find((one) => one.name === name)?.notNull !== true;

/** What makes `names` a key, as far as it can be said without knowing what the columns mean. */
function repair(
  facts: TableFacts,
  names: readonly string[] | null,
  candidates: readonly IndexFacts[],
  flawed: readonly IndexFacts[],
): string[] {
  const invalid = flawed.filter((index) => isUsable({ ...index, valid: true }));
  const rebuilt = invalid.map(
    ({ name }) => `REINDEX INDEX CONCURRENTLY ${quoteTable({ schema: facts.schema, name })};`,
  );
  if (names === null || names.some((name) => !facts.attributes.some((one) => one.name === name))) {
    return rebuilt;
  }
  const list = names.map(quoteIdentifier).join(", ");
  const hasIndex = [...candidates, ...invalid].some((index) => isOver(index, names));
  // A partitioned table's unique index must hold its partition key, and cannot be built concurrently.
  const built =
    hasIndex || facts.kind !== "r" ? [] : [`CREATE UNIQUE INDEX CONCURRENTLY ON ${facts.quoted} (${list});`];
  const filled = names
    .filter((name) => isNullable(facts, name))
    .map((name) => `ALTER TABLE ${facts.quoted} ALTER COLUMN ${quoteIdentifier(name)} SET NOT NULL;`);
  return [...rebuilt, ...built, ...filled];
}

function describeIndex(index: IndexFacts): string {
  const flaws = [
    index.partial ? "partial" : "",
    index.expression ? "expression" : "",
    index.valid ? "" : "invalid",
    index.immediate ? "" : "deferrable",
    index.method === "btree" ? "" : index.method,
  ].filter((flaw) => flaw !== "");
  return `${flaws.join(" ")} index ${index.name}`;
}
