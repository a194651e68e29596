/**
 * `--where column=value`: equality as Postgres has it, or a refusal. Postgres reads the value; the rows, hot or archived,
 * are compared here, in the type that the answer's column has (`united-columns.ts`). Types whose equality is more than
 * their bytes, and not modelled below, are refused: an answer that lacks rows without saying so is worse than none (I8).
 */
import { FirnlineError, isFirnlineError } from "../errors.ts";
import type { Hot, SourceTable } from "../hot/port.ts";
import type { Column, ValueKind } from "../rows/column.ts";
import { bytesEqual } from "../rows/hex.ts";
import { decodeNumeric, numericToText } from "../rows/numeric.ts";
import { isBlankPadded, TYPE_OF_KIND } from "../rows/united-type.ts";
import { withoutBlanks } from "../rows/widen-field.ts";
import type { Filter } from "./request.ts";
import type { IndexedColumn, IndexedRows } from "./indexed-rows.ts";
import type { UnitedColumns } from "./united-columns.ts";

export interface PreparedFilter {
  /** Number of the column in the answer. */
  readonly column: number;
  /** The field that a row must have; null where rows with other bytes may have the value too. */
  readonly field: Uint8Array | null;
  /** Whether a row of a chunk, in the answer's columns, has the value. */
  matches(rows: IndexedRows, row: number): boolean;
}

type Equality = (field: Uint8Array, wanted: Uint8Array) => boolean;
/** Where a value is read and types are looked up. */
type Reader = Pick<Hot<never>, "encodeValue" | "baseType">;

/** Types archived as text whose text form is the same exactly where Postgres calls two values equal. */
const TEXT_IS_EQUALITY: ReadonlySet<string> = new Set(["cidr", "macaddr", "macaddr8", "oid", "pg_lsn"]);
const REFUSED: ReadonlySet<ValueKind> = new Set<ValueKind>(["json", "jsonb", "binary"]);
/** Texts without a type of the user's own; see `united-type.ts` for the padded ones. */
const PLAIN_TEXT = /^(?:text|name|character varying(?:\(\d+\))?)$/;

export async function prepareFilters(
  hot: Reader,
  source: Pick<SourceTable, "columns" | "looseCollations">,
  united: UnitedColumns,
  where: readonly Filter[],
): Promise<PreparedFilter[]> {
  const filters: PreparedFilter[] = [];
  for (const { column: name, value } of where) {
    const index = united.columns.findIndex((column) => column.name === name);
    const column = united.columns[index];
    if (column === undefined) {
      const names = united.columns
        .filter(({ attribute, name: own }) => attribute === own)
        .map((one) => one.name);
      throw refusal(
        name,
        `there is no such column (found ${names.join(", ")})`,
        "Check its spelling; names are case-sensitive",
      );
    }
    if (REFUSED.has(column.kind) || (column.select === "text" && !TEXT_IS_EQUALITY.has(column.type))) {
      throw notOffered(name, `type ${column.type}`);
    }
    if (column.kind === "text" && column.select === "value") requireBytes(source, name);
    const declared = united.declared[index] as readonly string[];
    const equals = await equalityOf(hot, column, declared);
    const wanted = await readWanted(hot, column, declared, united.isCurrent, value);
    const isBytes = equals === bytesEqual;
    filters.push({
      column: index,
      field: isBytes ? wanted : null,
      matches: isBytes
        ? (rows, row) => hasBytes(rows.column(index), row, wanted)
        : (rows, row) => !rows.isNull(index, row) && equals(rows.field(index, row), wanted),
    });
  }
  return filters;
}

/**
 * What is archived knows no collation, so the table's of today counts for rows of all years: as if they were still in it.
 * A column that the table has no more as a text may have had any collation of the database.
 */
function requireBytes(
  { columns, looseCollations }: Pick<SourceTable, "columns" | "looseCollations">,
  name: string,
): void {
  const hint = "Retrieve without it and filter the answer";
  const loose = looseCollations.columns.find(({ column }) => column === name);
  if (loose !== undefined) {
    const problem = `equality by collation ${loose.collation} is not offered: it is not deterministic, so that texts of other bytes may be equal`;
    throw refusal(name, problem, hint);
  }
  const isThere = columns.some((one) => one.name === name && one.kind === "text" && one.select === "value");
  if (isThere || !looseCollations.exist) return;
  throw refusal(
    name,
    "the table has no such text any more, and nothing tells whether its collation was one of this database's that are not deterministic",
    hint,
  );
}

/**
 * The value's field. A label that an enum does not have today may be one that it had when older rows were archived; then
 * the value is taken as the text that it is.
 */
async function readWanted(
  hot: Reader,
  column: Column,
  declared: readonly string[],
  isCurrent: boolean,
  value: string,
): Promise<Uint8Array> {
  const { kind, name, select } = column;
  // A type of the user's own may be gone; what its fields are is known without it.
  if (select === "inet") return await hot.encodeValue({ name, select, type: "inet" }, value);
  if (select === "value" && kind !== "text" && kind !== "binary") {
    return await hot.encodeValue({ name, select, type: TYPE_OF_KIND[kind] }, value);
  }
  try {
    return await hot.encodeValue(column, value);
  } catch (error) {
    const isOwn = declared.some((type) => !PLAIN_TEXT.test(type) && !isBlankPadded(type));
    if (select !== "value" || isCurrent || !isOwn || !isFirnlineError(error, "E_INPUT")) throw error;
    return await hot.encodeValue({ name, select, type: TYPE_OF_KIND.text }, value);
  }
}

async function equalityOf(hot: Reader, column: Column, declared: readonly string[]): Promise<Equality> {
  switch (column.kind) {
    case "numeric":
    case "decimal":
      return (field, wanted) => digits(field) === digits(wanted);
    case "float4":
      return (field, wanted) => sameNumber(viewOf(field).getFloat32(0), viewOf(wanted).getFloat32(0));
    case "float8":
      return (field, wanted) => sameNumber(viewOf(field).getFloat64(0), viewOf(wanted).getFloat64(0));
    case "text":
      return column.select === "value" ? await textEquality(hot, column, declared) : bytesEqual;
    default:
      return bytesEqual;
  }
}

/** Blanks at the end do not count in a character(n), nor in a domain over one. */
async function textEquality(hot: Reader, column: Column, declared: readonly string[]): Promise<Equality> {
  if (isBlankPadded(column.type)) return ignoringBlanks;
  // Those of a character(n) went when it was united with another text; a domain's texts are as they were archived.
  const bases: (string | null)[] = [];
  for (const type of declared) {
    if (!PLAIN_TEXT.test(type) && !isBlankPadded(type)) bases.push(await hot.baseType(type));
  }
  if (bases.length === declared.length && bases.every((base) => base !== null && isBlankPadded(base)))
    return ignoringBlanks;
  const isUnsure = bases.some((base) => base === null || isBlankPadded(base));
  return isUnsure ? exactOrRefused(column.name, declared) : bytesEqual;
}

/** Where nothing tells whether blanks at the end count, a row that differs in them alone cannot be judged. */
function exactOrRefused(column: string, declared: readonly string[]): Equality {
  return (field, wanted) => {
    if (bytesEqual(field, wanted)) return true;
    if (!ignoringBlanks(field, wanted)) return false;
    throw refusal(
      column,
      `a row differs from the value in blanks at its end alone, and nothing tells whether they count in ${declared.join(" and ")}`,
      "Retrieve without it and filter the answer",
    );
  };
}

const ignoringBlanks: Equality = (field, wanted) => bytesEqual(withoutBlanks(field), withoutBlanks(wanted));

/** `bytesEqual` without a view of the field; NULL has length -1. */
function hasBytes({ bytes, starts, lengths }: IndexedColumn, row: number, wanted: Uint8Array): boolean {
  if (lengths[row] !== wanted.length) return false;
  const start = starts[row] as number;
  for (let at = 0; at < wanted.length; at += 1) {
    if (bytes[start + at] !== wanted[at]) return false;
  }
  return true;
}

const viewOf = (field: Uint8Array): DataView =>
  new DataView(field.buffer, field.byteOffset, field.byteLength);

/** In Postgres NaN equals NaN, and -0 equals 0. */
const sameNumber = (left: number, right: number): boolean =>
  left === right || (Number.isNaN(left) && Number.isNaN(right));

/** A numeric's digits without trailing zeros, which do not count: 1.50 equals 1.5. */
function digits(field: Uint8Array): string {
  const parts = decodeNumeric(field, 0, field.length);
  if (parts === null) return "";
  const text = numericToText(parts);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function notOffered(column: string, what: string): FirnlineError {
  return refusal(column, `equality of ${what} is not offered`, "Retrieve without it and filter the answer");
}

function refusal(column: string, problem: string, hint: string): FirnlineError {
  return new FirnlineError({ code: "E_INPUT", subject: `--where ${column}`, problem, hint });
}
