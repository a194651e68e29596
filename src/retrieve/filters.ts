/**
 * `--where column=value`: equality as Postgres has it, or a refusal. Postgres reads the value; the rows, hot or archived,
 * are compared here. Types whose equality is more than their bytes, and not modelled below, are refused: an answer
 * that lacks rows without saying so is worse than none (I8).
 */
import { FirnlineError } from "../errors.ts";
import type { Hot, SourceTable } from "../hot/port.ts";
import type { Column, ValueKind } from "../rows/column.ts";
import { bytesEqual } from "../rows/hex.ts";
import { decodeNumeric, numericToText } from "../rows/numeric.ts";
import type { Filter } from "./request.ts";
import type { RowCursor } from "./row-cursor.ts";

export type PreparedFilter = (row: RowCursor) => boolean;

/** Types archived as text whose text form is the same exactly where Postgres calls two values equal. */
const TEXT_IS_EQUALITY: ReadonlySet<string> = new Set(["cidr", "macaddr", "macaddr8", "oid", "pg_lsn"]);
const REFUSED: ReadonlySet<ValueKind> = new Set<ValueKind>(["json", "jsonb", "binary"]);

export async function prepareFilters<Tx>(
  hot: Hot<Tx>,
  source: SourceTable,
  where: readonly Filter[],
): Promise<PreparedFilter[]> {
  const filters: PreparedFilter[] = [];
  for (const { column: name, value } of where) {
    const index = source.columns.findIndex((column) => column.name === name);
    const column = source.columns[index];
    if (column === undefined) {
      const names = source.columns
        .filter(({ attribute, name: own }) => attribute === own)
        .map((one) => one.name);
      throw refusal(
        name,
        `there is no such column (found ${names.join(", ")})`,
        "Check its spelling; names are case-sensitive",
      );
    }
    if (REFUSED.has(column.kind) || (column.select === "text" && !TEXT_IS_EQUALITY.has(column.type))) {
      throw refusal(
        name,
        `equality of type ${column.type} is not offered`,
        "Retrieve without it and filter the answer",
      );
    }
    const equals = equalityOf(column);
    const wanted = await hot.encodeValue(source, column, value);
    filters.push((row) => !row.isNull(index) && equals(row.field(index), wanted));
  }
  return filters;
}

function equalityOf(column: Column): (field: Uint8Array, wanted: Uint8Array) => boolean {
  switch (column.kind) {
    case "numeric":
    case "decimal":
      return (field, wanted) => digits(field) === digits(wanted);
    case "float4":
      return (field, wanted) => sameNumber(viewOf(field).getFloat32(0), viewOf(wanted).getFloat32(0));
    case "float8":
      return (field, wanted) => sameNumber(viewOf(field).getFloat64(0), viewOf(wanted).getFloat64(0));
    case "text":
      // Blanks at the end do not count in a character(n).
      return /^character(?! varying)/.test(column.type)
        ? (field, wanted) => bytesEqual(withoutBlanks(field), withoutBlanks(wanted))
        : bytesEqual;
    default:
      return bytesEqual;
  }
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

function withoutBlanks(field: Uint8Array): Uint8Array {
  let end = field.length;
  while (end > 0 && field[end - 1] === 0x20) end -= 1;
  return field.subarray(0, end);
}

function refusal(column: string, problem: string, hint: string): FirnlineError {
  return new FirnlineError({ code: "E_INPUT", subject: `--where ${column}`, problem, hint });
}
