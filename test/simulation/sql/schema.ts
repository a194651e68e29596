/** Tables: the control schema, read from its migrations, and whatever else a simulation has. */
import { parseExpression, parseType } from "./parse-expression.ts";
import { parseSelect } from "./parse.ts";
import type { Expression } from "./syntax.ts";
import { Reader } from "./tokens.ts";

export interface ColumnOf {
  readonly type: string;
  readonly byDefault: Expression | null;
  readonly notNull: boolean;
}

export interface Unique {
  readonly columns: readonly string[];
  readonly where: Expression | null;
}

export interface Table {
  readonly name: string;
  readonly columns: Map<string, ColumnOf>;
  readonly uniques: Unique[];
  /** By the name that Postgres gives them. */
  readonly checks: Map<string, Expression>;
}

export type Tables = Map<string, Table>;

/** What a script of our own, without texts that hold semicolons, makes of the tables. */
export function applyScript(tables: Tables, script: string): void {
  const statements = script.replaceAll(/--[^\n]*/g, "").split(";");
  for (const text of statements) if (text.trim() !== "") applyStatement(tables, text);
}

function applyStatement(tables: Tables, text: string): void {
  const reader = new Reader(text);
  if (reader.eat("create", "table")) return createTable(tables, reader);
  if (reader.eat("alter", "table")) return alterTable(tables, reader);
  if (reader.eat("create", "unique", "index")) {
    reader.name();
    reader.expect("on");
    const table = tableOf(tables, nameOf(reader));
    const columns = namesOf(reader);
    const where = reader.eat("where") ? expression(reader) : null;
    table.uniques.push({ columns, where });
    return;
  }
  if (["create", "drop", "update"].some((word) => reader.is(word))) return;
  throw new Error(`SQL: a migration that the simulation cannot follow: ${text}`);
}

const expression = (reader: Reader): Expression => parseExpression(reader, parseSelect);

function tableOf(tables: Tables, name: string): Table {
  const table = tables.get(name);
  if (table === undefined) throw new Error(`SQL: no table ${name}`);
  return table;
}

function nameOf(reader: Reader): string {
  const first = reader.name();
  return reader.eat(".") ? `${first}.${reader.name()}` : first;
}

function namesOf(reader: Reader): string[] {
  reader.expect("(");
  const names = reader.list(() => {
    const name = reader.name();
    reader.eat("desc");
    return name;
  });
  reader.expect(")");
  return names;
}

function createTable(tables: Tables, reader: Reader): void {
  reader.eat("if", "not", "exists");
  const name = nameOf(reader);
  const table: Table = { name, columns: new Map(), uniques: [], checks: new Map() };
  reader.expect("(");
  reader.list(() => {
    if (reader.eat("primary", "key")) table.uniques.push({ columns: namesOf(reader), where: null });
    else if (reader.eat("foreign", "key")) {
      namesOf(reader);
      reader.expect("references");
      nameOf(reader);
    } else addColumn(table, reader);
  });
  tables.set(name, table);
}

/** `IN (...)` and comparisons: conditions of one column. */
function addColumn(table: Table, reader: Reader): void {
  const name = reader.name();
  const type = parseType(reader);
  let byDefault: Expression | null = null;
  let notNull = false;
  for (;;) {
    if (reader.eat("not", "null")) notNull = true;
    else if (reader.eat("primary", "key")) {
      notNull = true;
      table.uniques.push({ columns: [name], where: null });
    } else if (reader.eat("unique")) table.uniques.push({ columns: [name], where: null });
    else if (reader.eat("default")) byDefault = parseExpression(reader, parseSelect, 4);
    else if (reader.eat("references")) nameOf(reader);
    else if (reader.eat("generated", "always", "as", "identity")) {
      const sequence = { k: "literal", value: `${table.name}.${name}`, type: "text" } as const;
      byDefault = { k: "call", name: "nextval", args: [sequence], order: [], filter: null };
    } else if (reader.eat("check", "(")) {
      table.checks.set(`${table.name.split(".").at(-1)}_${name}_check`, expression(reader));
      reader.expect(")");
    } else break;
  }
  table.columns.set(name, { type, byDefault, notNull });
}

function columnOf(table: Table, name: string): { readonly name: string; readonly definition: ColumnOf } {
  const definition = table.columns.get(name);
  if (definition === undefined) throw new Error(`SQL: ${table.name} has no column ${name}`);
  return { name, definition };
}

function alterTable(tables: Tables, reader: Reader): void {
  const table = tableOf(tables, nameOf(reader));
  reader.list(() => {
    if (reader.eat("add", "column")) return addColumn(table, reader);
    if (reader.eat("drop", "column")) return void table.columns.delete(reader.name());
    if (reader.eat("drop", "constraint")) return void table.checks.delete(reader.name());
    if (reader.eat("rename", "column")) {
      const column = columnOf(table, reader.name());
      reader.expect("to");
      table.columns.set(reader.name(), column.definition);
      table.columns.delete(column.name);
      return;
    }
    if (reader.eat("alter", "column")) {
      const column = columnOf(table, reader.name());
      reader.expect("type");
      table.columns.set(column.name, { ...column.definition, type: parseType(reader) });
      // There are no rows yet.
      if (reader.eat("using")) expression(reader);
      return;
    }
    reader.expect("add", "constraint");
    const name = reader.name();
    reader.expect("check", "(");
    table.checks.set(name, expression(reader));
    reader.expect(")");
  });
}
