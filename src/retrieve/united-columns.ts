/**
 * One list of columns for an answer whose rows are of several definitions of the table (DESIGN section 6, "schema
 * change over the years"). Columns are matched by name: first those of the table as it is now, in its order, then those
 * that only older segments have, in the order of their days. What a source lacks is NULL; a column that was renamed is
 * there under both names. Types are united by `rows/united-type.ts` or the answer is refused with `E_SCHEMA`. Pure.
 */
import { FirnlineError, FirnlineErrors, invariant } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import type { Column } from "../rows/column.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { KEY_KINDS } from "../rows/key-range.ts";
import type { OrderColumns } from "../rows/row-order.ts";
import { type ColumnType, typeOf, unitedType } from "../rows/united-type.ts";
import { widenColumn, type WidenField, widening } from "../rows/widen-field.ts";

/** The columns that some segments of the range have in common, as their manifests tell them. */
export interface ArchivedColumns {
  readonly columns: readonly Column[];
  /** Name of the time column, and names of the key's columns. */
  readonly time: string;
  readonly key: readonly string[];
  /** The first of these segments with their days, and how many there are. */
  readonly examples: readonly { readonly segment: string; readonly day: string }[];
  readonly segments: number;
  /** Whether all of them were exported under the very definition that the table has now. */
  readonly isCurrent: boolean;
}

export interface UnitedColumns extends OrderColumns {
  /** For each column the declared types that it had, without repetition. */
  readonly declared: readonly (readonly string[])[];
  /** Whether all rows are of the table's definition of today: then an enum's labels are all of its labels. */
  readonly isCurrent: boolean;
}

/** Where a column was found; null stands for the table. */
interface Found {
  readonly column: Column;
  readonly in: ArchivedColumns | null;
}

const SOURCES_NAMED_MAX = 4;

/**
 * `hasHotRows`: whether any row of the answer comes from the table. If none does, a column of the table that cannot be
 * united with the archived ones gives way to them, so that the days before a change can always be retrieved apart.
 */
export function uniteColumns(
  source: Pick<SourceTable, "table" | "columns" | "timeColumn" | "keyColumns">,
  hasHotRows: boolean,
  archived: readonly ArchivedColumns[],
): UnitedColumns {
  const table = `${source.table.schema}.${source.table.name}`;
  const findings: FirnlineError[] = [];
  const byName = new Map<string, Found[]>();
  for (const { columns, in: where } of [
    { columns: source.columns, in: null },
    ...archived.map((one) => ({ columns: one.columns, in: one })),
  ]) {
    for (const column of columns) {
      const found = byName.get(column.name);
      if (found === undefined) byName.set(column.name, [{ column, in: where }]);
      else found.push({ column, in: where });
    }
  }
  const columns: Column[] = [];
  const declared: string[][] = [];
  for (const [name, all] of byName) {
    const { type, found } = unite(all, hasHotRows);
    declared.push([...new Set(found.map(({ column }) => column.type))]);
    // The time column is judged below, and more strictly.
    if (type === null && columns.length !== source.timeColumn)
      findings.push(incompatible(`${table}.${name}`, found));
    columns.push({ ...(found[0] as Found).column, ...type });
  }
  findings.push(...timeFindings(table, source, archived));
  const keyColumns = uniteKey(table, source, hasHotRows, archived, columns, findings);
  if (findings.length > 1) throw new FirnlineErrors(findings);
  if (findings[0] !== undefined) throw findings[0];
  const isCurrent = archived.every((one) => one.isCurrent);
  return { columns, timeColumn: source.timeColumn, keyColumns, declared, isCurrent };
}

/** How rows of one source become rows of the answer. Rows that are of it already are handed on as they are. */
export function intoUnited(
  from: readonly Column[],
  { columns }: Pick<UnitedColumns, "columns">,
): (rows: RawRows) => RawRows {
  const steps = columns.map((to): { at: number; widen: WidenField | null } => {
    const at = from.findIndex(({ name }) => name === to.name);
    return { at, widen: at < 0 ? null : widening(to.name, from[at] as Column, to) };
  });
  invariant(
    steps.filter(({ at }) => at >= 0).length === from.length,
    "columns",
    "a source has columns that the answer lacks",
  );
  if (steps.every(({ at, widen }, index) => at === index && widen === null)) return (rows) => rows;
  let nulls = new Uint8Array(0);
  return ({ rows, columns: raw }) => {
    // A field of length -1 is NULL, and has no bytes. One column of them serves all that are missing.
    if (nulls.length < rows * 4) nulls = new Uint8Array(rows * 4).fill(0xff);
    return {
      rows,
      columns: steps.map(({ at, widen }) => {
        const column = raw[at];
        if (column === undefined) return nulls.subarray(0, rows * 4);
        return widen === null ? column : widenColumn(column, rows, widen);
      }),
    };
  };
}

function unite(
  all: readonly Found[],
  hasHotRows: boolean,
): { type: ColumnType | null; found: readonly Found[] } {
  const type = unitedOf(all);
  const archived = all.filter((one) => one.in !== null);
  if (type !== null || hasHotRows || archived.length === 0) return { type, found: all };
  const older = unitedOf(archived);
  return older === null ? { type, found: all } : { type: older, found: archived };
}

function unitedOf([first, ...others]: readonly Found[]): ColumnType | null {
  const { attribute } = (first as Found).column;
  let united: ColumnType | null = typeOf((first as Found).column);
  for (const { column } of others) {
    // The text that stands beside an interval and a column of the table may have one name, and are two things.
    if (united === null || column.attribute !== attribute) return null;
    united = unitedType(united, typeOf(column));
  }
  return united;
}

/** The order of rows hangs on the time column: it must be the same everywhere. */
function timeFindings(
  table: string,
  source: Pick<SourceTable, "columns" | "timeColumn">,
  archived: readonly ArchivedColumns[],
): FirnlineError[] {
  const { name, kind } = source.columns[source.timeColumn] as Column;
  const differing = archived.filter(({ columns, time }) => {
    const column = columns.find((one) => one.name === name);
    return time !== name || column?.kind !== kind || column.select !== "value";
  });
  const [first] = differing;
  if (first === undefined) return [];
  const found = first.columns.find((column) => column.name === first.time);
  return [
    schemaError(
      `${table}.${name}`,
      `rows are ordered by ${name} (${TIME_TYPES[kind] ?? kind}) today, by ${first.time} (${found?.type ?? "missing"}) in ${places(first)}`,
      "Put the time column back as it was; until then read the Parquet files",
    ),
  ];
}

const TIME_TYPES: Readonly<Record<string, string>> = {
  timestamptz: "timestamp with time zone",
  timestamp: "timestamp without time zone",
};

/**
 * Indexes of the key's columns; none where a source has no key, and rows are then never taken for the same. A key that
 * changed is `E_SCHEMA`: rows of before and after have no common order, and nothing says which are the same.
 */
function uniteKey(
  table: string,
  source: Pick<SourceTable, "columns" | "keyColumns">,
  hasHotRows: boolean,
  archived: readonly ArchivedColumns[],
  columns: readonly Column[],
  findings: FirnlineError[],
): number[] {
  const today = source.keyColumns.map((index) => (source.columns[index] as Column).name);
  const keys: { key: readonly string[]; in: ArchivedColumns | null }[] = archived.map((one) => ({
    key: one.key,
    in: one,
  }));
  if (hasHotRows || keys.length === 0) keys.unshift({ key: today, in: null });
  if (keys.some(({ key }) => key.length === 0)) return [];
  const [first] = keys as [(typeof keys)[number]];
  const other = keys.find(({ key }) => JSON.stringify(key) !== JSON.stringify(first.key));
  if (other !== undefined) {
    const [left, right] = [first, other].map(
      (one) => `(${one.key.join(", ")}) in ${one.in === null ? "the table" : places(one.in)}`,
    );
    findings.push(schemaError(`key of ${table}`, `it is ${left}; ${right}`, RETRIEVE_APART));
    return [];
  }
  return first.key.map((name) => {
    const index = columns.findIndex((column) => column.name === name);
    const kind = columns[index]?.kind;
    if (kind === undefined || !KEY_KINDS.has(kind)) {
      findings.push(schemaError(`${table}.${name}`, "the key's types have no common order", RETRIEVE_APART));
    }
    return index;
  });
}

const RETRIEVE_APART =
  "Retrieve the days before and after the change apart; where the table still has rows of older days, what is archived of those days can be read from the Parquet files";

function incompatible(subject: string, found: readonly Found[]): FirnlineError {
  const byType = Map.groupBy(found, ({ column }) =>
    column.name === column.attribute ? column.type : `the text of ${column.attribute}`,
  );
  const described = [...byType].map(([type, group]) => {
    const where = group.map((one) => (one.in === null ? "the table" : places(one.in)));
    return `${type} in ${bounded(where).join(" and ")}`;
  });
  const problem = `no type holds all of its values as they are: it is ${bounded(described).join("; ")}`;
  return schemaError(subject, problem, RETRIEVE_APART);
}

function places({ examples, segments }: ArchivedColumns): string {
  const named = examples.map(({ segment, day }) => `${segment} (${day})`).join(", ");
  const more = segments - examples.length;
  return `${segments === 1 ? "segment" : "segments"} ${named}${more > 0 ? ` and ${more} more` : ""}`;
}

function bounded(texts: readonly string[]): readonly string[] {
  const more = texts.length - SOURCES_NAMED_MAX;
  return more > 0 ? [...texts.slice(0, SOURCES_NAMED_MAX), `${more} more`] : texts;
}

function schemaError(subject: string, problem: string, hint: string): FirnlineError {
  return new FirnlineError({ code: "E_SCHEMA", subject, problem, hint, op: "retrieve" });
}
