/**
 * The type that a column has in an answer when its declared type changed over the years: the narrowest one that holds
 * the values of both exactly. A value in it is what Postgres' own cast would make of it (`widen-field.ts`); no cast is
 * made that loses anything or asks the session for its time zone. Null: there is no such type.
 *
 * It is a join: the order and the number of the types do not matter, so an answer does not depend on which segment
 * happens to be read first.
 */
import { type Column, DECIMAL_PRECISION_MAX, type ValueKind } from "./column.ts";

/** What a column's fields are; how it is called does not count here. */
export type ColumnType = Pick<Column, "type" | "select" | "kind" | "precision" | "scale">;

/** The plain type of each kind; `binary` stands for several, and `decimal` has digits besides. */
export const TYPE_OF_KIND: Readonly<Record<Exclude<ValueKind, "binary">, string>> = {
  bool: "boolean",
  int2: "smallint",
  int4: "integer",
  int8: "bigint",
  float4: "real",
  float8: "double precision",
  decimal: "numeric",
  numeric: "numeric",
  timestamptz: "timestamp with time zone",
  timestamp: "timestamp without time zone",
  date: "date",
  time: "time without time zone",
  uuid: "uuid",
  bytea: "bytea",
  text: "text",
  json: "json",
  jsonb: "jsonb",
};

/** Digits that the largest value has. */
const INTEGER_DIGITS: Readonly<Partial<Record<ValueKind, number>>> = { int2: 5, int4: 10, int8: 19 };

/** Of two kinds, the one that holds both; a kind not in here goes with itself alone. */
const WIDER: readonly (readonly ValueKind[])[] = [
  ["int2", "int4", "int8"],
  ["float4", "float8"],
  ["date", "timestamp"],
  // The text of a jsonb is a json; the way back would lose spaces, order and repeated keys.
  ["jsonb", "json"],
];

export const typeOf = ({ type, select, kind, precision, scale }: ColumnType): ColumnType => ({
  type,
  select,
  kind,
  precision,
  scale,
});

export function unitedType(left: ColumnType, right: ColumnType): ColumnType | null {
  if (left.select !== right.select) return null;
  if (isSame(left, right)) return typeOf(left);
  if (left.select !== "value") return unitedTextForm(left, right);
  if (isNumber(left) && isNumber(right)) return unitedNumber(left, right);
  if (left.kind === "text" && right.kind === "text") return plain("text", unitedText(left.type, right.type));
  if (left.kind === "binary" && right.kind === "binary") return unitedBinary(left, right);
  const kind = widerKind(left.kind, right.kind);
  return kind === null || kind === "binary" ? null : plain(kind, TYPE_OF_KIND[kind]);
}

/** Whether blanks at the end do not belong to a value: `character(5)`, and `bpchar` without a length. */
export function isBlankPadded(type: string): boolean {
  return blankPaddedLength(type) !== undefined;
}

/** The length of a `character(n)`, null for `bpchar`, undefined for any other type. */
export function blankPaddedLength(type: string): number | null | undefined {
  const match = /^(?:character\((\d+)\)|bpchar)$/.exec(type);
  return match === null ? undefined : match[1] === undefined ? null : Number(match[1]);
}

function isSame(left: ColumnType, right: ColumnType): boolean {
  return (
    left.type === right.type &&
    left.kind === right.kind &&
    left.precision === right.precision &&
    left.scale === right.scale
  );
}

const plain = (kind: ValueKind, type: string): ColumnType => ({
  type,
  select: "value",
  kind,
  precision: null,
  scale: null,
});

function widerKind(left: ValueKind, right: ValueKind): ValueKind | null {
  if (left === right) return left;
  const ladder = WIDER.find((kinds) => kinds.includes(left) && kinds.includes(right));
  return ladder === undefined
    ? null
    : (ladder[Math.max(ladder.indexOf(left), ladder.indexOf(right))] as ValueKind);
}

const isNumber = ({ kind }: ColumnType): boolean =>
  kind === "decimal" || kind === "numeric" || kind in INTEGER_DIGITS;

function unitedNumber(left: ColumnType, right: ColumnType): ColumnType {
  const integer = widerKind(left.kind, right.kind);
  if (integer !== null && integer in INTEGER_DIGITS) return plain(integer, TYPE_OF_KIND[integer as "int8"]);
  if (left.kind === "numeric" || right.kind === "numeric") return plain("numeric", "numeric");
  const scale = Math.max(left.scale ?? 0, right.scale ?? 0);
  const precision = Math.max(digitsBeforePoint(left), digitsBeforePoint(right)) + scale;
  if (precision > DECIMAL_PRECISION_MAX) return plain("numeric", "numeric");
  return { ...plain("decimal", `numeric(${precision},${scale})`), precision, scale };
}

function digitsBeforePoint({ kind, precision, scale }: ColumnType): number {
  return INTEGER_DIGITS[kind] ?? (precision as number) - (scale as number);
}

/** Two lengths of one type give the longer one; anything else that is sent as its text is a text. */
function unitedText(left: string, right: string): string {
  const varying = [left, right].map((type) => /^character varying(?:\((\d+)\))?$/.exec(type));
  if (varying.every((match) => match !== null)) {
    const length = longer(varying.map((match) => (match[1] === undefined ? null : Number(match[1]))));
    return length === null ? "character varying" : `character varying(${length})`;
  }
  const padded = [left, right].map(blankPaddedLength);
  if (padded.every((length) => length !== undefined)) {
    const length = longer(padded);
    return length === null ? "bpchar" : `character(${length})`;
  }
  return left === right ? left : "text";
}

/** Null stands for any length. */
const longer = (lengths: readonly (number | null)[]): number | null =>
  lengths.includes(null) ? null : Math.max(...(lengths as readonly number[]));

/** The fields of an interval, a money and a timetz have nothing in common; what a domain is over is not known here. */
function unitedBinary(left: ColumnType, right: ColumnType): ColumnType | null {
  const [type, other] = [left.type, right.type].map(binaryType);
  return type !== undefined && type === other ? plain("binary", type) : null;
}

function binaryType(type: string): string | undefined {
  if (/^interval\b/.test(type)) return "interval";
  if (/^time(?:\(\d\))? with time zone$/.test(type)) return "time with time zone";
  return type === "money" ? type : undefined;
}

/** Types that are archived as a text keep it; a modifier (of `bit varying(8)`, of `numeric(6,2)[]`) changes no text. */
function unitedTextForm(left: ColumnType, right: ColumnType): ColumnType | null {
  if (left.select === "inet") return { ...typeOf(left), type: "inet" };
  const [type, other] = [left.type, right.type].map(
    (declared) => binaryType(declared) ?? withoutModifier(declared),
  );
  return type !== undefined && type === other ? { ...typeOf(left), type } : null;
}

/** At the end of the name only: a quoted name may hold parentheses. */
const withoutModifier = (type: string): string =>
  type.replace(/\([^()"]*\)(?=(?: with(?:out)? time zone)?(?:\[\])*$)/, "");
