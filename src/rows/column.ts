/**
 * A column as Firnline moves it: how it is selected from Postgres, which binary form its fields have, and which
 * Parquet type holds them. The mapping follows the declared type alone, so that it is the same in every segment of a
 * pipeline; `mapColumn` is the whole table of DESIGN section 6.
 */
import { FirnlineError } from "../errors.ts";

/**
 * The binary form of a field, as `COPY ... (FORMAT binary)` sends it. Source: the `*_send` functions of PostgreSQL.
 * `binary` is a field kept as it is (interval, money, timetz); `text` covers everything sent as its UTF-8 text.
 */
export const VALUE_KINDS = [
  "bool",
  "int2",
  "int4",
  "int8",
  "float4",
  "float8",
  "decimal",
  "numeric",
  "timestamptz",
  "timestamp",
  "date",
  "time",
  "uuid",
  "bytea",
  "text",
  "json",
  "jsonb",
  "binary",
] as const;
export type ValueKind = (typeof VALUE_KINDS)[number];

export const SELECTIONS = ["value", "text", "inet"] as const;
export type Selection = (typeof SELECTIONS)[number];

export interface Column {
  /** The name in the archive, unique within a segment. */
  readonly name: string;
  /** The attribute's name and number in the table. */
  readonly attribute: string;
  readonly attnum: number;
  /** The declared type as `format_type` prints it, e.g. `numeric(12,2)`. */
  readonly type: string;
  /**
   * `value` is the attribute itself, `text` its text form under the pinned settings, which Postgres is asked for, `inet` the
   * text of an address without the mask of a single host, as people and `inet_out` write it (the cast would say 10.0.0.1/32).
   */
  readonly select: Selection;
  readonly kind: ValueKind;
  /** Total digits and digits after the point; null unless `kind` is `decimal`. */
  readonly precision: number | null;
  readonly scale: number | null;
}

/** What Postgres says about one attribute of the table; see `hot/postgres/sql/table-facts.sql`. */
export interface AttributeFacts {
  readonly attnum: number;
  readonly name: string;
  /** The declared type for people, e.g. `public.email`. */
  readonly type: string;
  /** The type below all domains: its `typname`, `typtype`, `typcategory`, and the type modifier in force. */
  readonly base: {
    readonly name: string;
    readonly schema: string;
    readonly kind: string;
    readonly modifier: number;
  };
  /** `''`, `s` (stored) or `v` (virtual). */
  readonly generated: string;
  readonly notNull: boolean;
  /** Names of all types that the column's type contains, at any depth, itself included; a user's with its schema. */
  readonly contains: readonly string[];
  /** Names of contained types whose output function is volatile. */
  readonly unstable: readonly string[];
}

const SYSTEM_KINDS: Readonly<Record<string, ValueKind>> = {
  bool: "bool",
  int2: "int2",
  int4: "int4",
  int8: "int8",
  float4: "float4",
  float8: "float8",
  timestamptz: "timestamptz",
  timestamp: "timestamp",
  date: "date",
  time: "time",
  uuid: "uuid",
  bytea: "bytea",
  text: "text",
  varchar: "text",
  bpchar: "text",
  name: "text",
  json: "json",
  jsonb: "jsonb",
};

const BINARY_WITH_TEXT: ReadonlySet<string> = new Set(["interval", "money", "timetz"]);

/** `lo` owns a large object, reg* types name catalog rows: neither means anything once it has left the database. */
const isCatalogReference = (name: string): boolean => name.endsWith(".lo") || /^reg[a-z]+$/.test(name);

export const DECIMAL_PRECISION_MAX = 38;

/** The digits of a `numeric(p,s)`, from its type modifier; null when unconstrained. Source: numeric.c, numerictypmodin. */
export function numericModifier(modifier: number): { precision: number; scale: number } | null {
  if (modifier < 4) return null;
  const packed = modifier - 4;
  // The scale is a signed 11-bit number since PostgreSQL 15.
  const scale = ((packed & 0x7ff) ^ 1024) - 1024;
  return { precision: (packed >> 16) & 0xffff, scale };
}

function refuse(table: string, attribute: AttributeFacts, problem: string, hint: string): never {
  throw new FirnlineError({
    code: "E_TYPE",
    subject: `${table}.${attribute.name}`,
    problem: `${problem} (found ${attribute.type})`,
    hint,
  });
}

/** The archive's columns for one attribute: one, or two where people need a text beside a binary form. */
export function mapColumn(table: string, attribute: AttributeFacts): Column[] {
  const { base } = attribute;
  if (attribute.generated === "v") {
    refuse(table, attribute, "a virtual generated column has no stored bytes", "Make it STORED, or drop it");
  }
  const reference = attribute.contains.find(isCatalogReference);
  if (reference !== undefined) {
    refuse(
      table,
      attribute,
      `type ${reference} refers to rows of this database's catalog`,
      "Store the name as text in a column of its own",
    );
  }
  const column = (
    kind: ValueKind,
    options: { name?: string; select?: Selection; precision?: number; scale?: number } = {},
  ): Column => ({
    name: options.name ?? attribute.name,
    attribute: attribute.name,
    attnum: attribute.attnum,
    type: attribute.type,
    select: options.select ?? "value",
    kind,
    precision: options.precision ?? null,
    scale: options.scale ?? null,
  });
  if (base.kind === "e") return [column("text")];
  if (base.schema === "pg_catalog") {
    const kind = SYSTEM_KINDS[base.name];
    if (kind !== undefined) return [column(kind)];
    if (base.name === "numeric") {
      const digits = numericModifier(base.modifier);
      return digits &&
        digits.precision <= DECIMAL_PRECISION_MAX &&
        digits.scale >= 0 &&
        digits.scale <= digits.precision
        ? [column("decimal", digits)]
        : [column("numeric")];
    }
    if (base.name === "inet") return [column("text", { select: "inet" })];
    if (BINARY_WITH_TEXT.has(base.name)) {
      return [column("binary"), column("text", { name: `${attribute.name}__text`, select: "text" })];
    }
  }
  if (attribute.unstable.length > 0) {
    refuse(
      table,
      attribute,
      `the text form of type ${attribute.unstable.join(", ")} is volatile`,
      "Store it as text, or leave the table to another tool",
    );
  }
  return [column("text", { select: "text" })];
}

/** All columns of the table in attribute order; refuses two columns of one name (a real `x__text` beside an interval `x`). */
export function mapColumns(table: string, attributes: readonly AttributeFacts[]): Column[] {
  const columns = attributes.flatMap((attribute) => mapColumn(table, attribute));
  const seen = new Map<string, Column>();
  for (const column of columns) {
    const other = seen.get(column.name);
    if (other !== undefined) {
      const derived = other.select === "text" ? other : column;
      throw new FirnlineError({
        code: "E_TYPE",
        subject: `${table}.${column.name}`,
        problem: `the archive's column ${column.name} would stand for two columns of the table`,
        hint: `Rename the table's column ${column.name}; the name is needed for the text of ${derived.attribute}`,
      });
    }
    seen.set(column.name, column);
  }
  return columns;
}
