/** Statements as functions of a transaction, each compiled once. */
import { as, compile, type Compiled, type Env, type Row, type Scope } from "./compile-expression.ts";
import { type Access, type Columns, Compiler } from "./compile-select.ts";
import { parseStatement } from "./parse.ts";
import type { Table, Tables } from "./schema.ts";
import type { Assignment, Delete, Insert, Item, Select, Statement, Update } from "./syntax.ts";
import { keyOf, SqlError } from "./values.ts";

export interface Outcome {
  readonly rows: Row[];
  readonly rowCount: number;
  /** Types of the rows' columns, in order. */
  readonly columns: Columns;
}

export interface Executable {
  readonly statement: Statement;
  /** Rows as the tables have them; `query` hands them out as the driver does. */
  run(access: Access, parameters: readonly unknown[]): Outcome;
}

const NO_COLUMNS: Columns = new Map();

export class Statements {
  readonly #compiler: Compiler;
  readonly #known = new Map<string, Executable>();

  constructor(tables: Tables) {
    this.#compiler = new Compiler(tables);
  }

  prepare(sql: string): Executable {
    const known = this.#known.get(sql) ?? this.#compile(sql);
    this.#known.set(sql, known);
    return known;
  }

  #compile(sql: string): Executable {
    const statement = parseStatement(sql);
    const run = this.#any(statement, new Map());
    return {
      statement,
      run: (host, parameters) =>
        run({ host, parameters, rows: [], outer: null, group: null, ctes: new Map() }),
    };
  }

  #any(statement: Statement, ctes: Scope["ctes"]): (env: Env) => Outcome {
    switch (statement.k) {
      case "select":
        return this.#select(statement, ctes);
      case "insert":
        return this.#insert(statement);
      case "update":
        return this.#update(statement);
      case "delete":
        return this.#delete(statement);
      case "copy":
        return this.#any(statement.of, ctes);
      case "lock":
        return () => {
          this.#compiler.table(statement.table);
          return { rows: [], rowCount: 0, columns: NO_COLUMNS };
        };
    }
  }

  #select(select: Select, outer: Scope["ctes"]): (env: Env) => Outcome {
    const columnsOf = new Map(outer);
    const parts = select.ctes.map(({ name, statement }) => {
      const run = this.#any(statement, columnsOf);
      columnsOf.set(name, this.#columnsOf(statement));
      return { name, run };
    });
    const { columns, run } = this.#compiler.select({ ...select, ctes: [] }, null, columnsOf);
    return (env) => {
      const results = new Map(env.ctes);
      for (const part of parts) results.set(part.name, part.run({ ...env, ctes: results }).rows);
      const rows = run({ ...env, ctes: results });
      return { rows, rowCount: rows.length, columns };
    };
  }

  /** Of a part of WITH. */
  #columnsOf(statement: Statement): Columns {
    if (statement.k === "select") return this.#compiler.select(statement, null).columns;
    if (statement.k !== "delete")
      throw new SqlError("0A000", "WITH a statement that the simulation does not know");
    const { scope } = this.#target(statement.table, statement.alias, statement.from);
    return typesOf(this.#compiler.items(statement.returning ?? [], scope));
  }

  #target(table: string, alias: string, from: Update["from"]): ReturnType<Compiler["from"]> {
    const first = { alias, columns: this.#compiler.columnsOf(table) };
    return this.#compiler.from(from, [first], null, new Map());
  }

  #insert(insert: Insert): (env: Env) => Outcome {
    const compiler = this.#compiler;
    const table = compiler.table(insert.table);
    const names = insert.columns.length > 0 ? insert.columns : [...table.columns.keys()];
    const typeOf = (name: string): string => table.columns.get(name)?.type ?? "unknown";
    const plain = compiler.scope([]);
    const lines = insert.rows?.map((row) =>
      row.map((value, at) => as(compile(value, plain), typeOf(names[at] as string))),
    );
    const source = insert.select === null ? null : compiler.select(insert.select, null);
    const given = source === null ? [] : [...source.columns];
    const defaults = [...table.columns].map(([name, { byDefault, type }]) => ({
      name,
      value: byDefault === null ? null : as(compile(byDefault, plain), type),
    }));
    const own = { alias: insert.alias, columns: compiler.columnsOf(insert.table) };
    const both = compiler.scope([own, { alias: "excluded", columns: own.columns }]);
    const changes = insert.conflict?.set ? this.#assignments(insert.conflict.set, table, both) : null;
    const returning = this.#returning(insert.returning, compiler.scope([own]));
    const check = this.#checks(table);
    const uniques = this.#uniques(table);
    return (env) => {
      const access = env.host as Access;
      const rows =
        lines?.map((line) => line.map((value) => value.run(env))) ??
        (source?.run(env) ?? []).map((row) =>
          given.map(([name, type], at) =>
            as({ type, run: () => row[name] }, typeOf(names[at] as string)).run(env),
          ),
        );
      const out: Env[] = [];
      for (const values of rows) {
        const row: Row = {};
        for (const { name, value } of defaults) {
          const at = names.indexOf(name);
          row[name] = at >= 0 ? (values[at] ?? null) : (value?.run(env) ?? null);
        }
        check(row, env);
        const taken = uniques.find(row, access, env, true);
        if (taken === null) out.push({ ...env, rows: [access.insert(insert.table, row)] });
        else if (insert.conflict === null) throw uniqueViolation(table);
        else if (changes !== null) {
          access.lock(insert.table, taken, "no key update", false);
          const after = { ...taken, ...changes({ ...env, rows: [taken, row] }) };
          check(after, env);
          out.push({ ...env, rows: [access.replace(insert.table, taken, after)] });
        }
      }
      return { ...returning(out), rowCount: out.length };
    };
  }

  #update(update: Update): (env: Env) => Outcome {
    const table = this.#compiler.table(update.table);
    const { scope, frames } = this.#target(update.table, update.alias, update.from);
    const where = update.where === null ? null : compile(update.where, scope);
    const changes = this.#assignments(update.set, table, scope);
    const returning = this.#returning(update.returning, scope);
    const check = this.#checks(table);
    const uniques = this.#uniques(table);
    const changed = new Set(update.set.map(({ column }) => column));
    return (env) => {
      const access = env.host as Access;
      const found = matches(access.rows(update.table), env, frames, where);
      for (const { rows } of found) access.lock(update.table, rows[0] as Row, "no key update", false);
      const out = found.map((frame) => {
        const before = frame.rows[0] as Row;
        const after = { ...before, ...changes(frame) };
        check(after, env);
        const row = access.replace(update.table, before, after);
        if (uniques.find(row, access, env, false, changed) !== null) throw uniqueViolation(table);
        return { ...frame, rows: [row, ...frame.rows.slice(1)] };
      });
      return { ...returning(out), rowCount: out.length };
    };
  }

  #delete({ table, alias, from, where: condition, returning: items }: Delete): (env: Env) => Outcome {
    const { scope, frames } = this.#target(table, alias, from);
    const where = condition === null ? null : compile(condition, scope);
    const returning = this.#returning(items, scope);
    return (env) => {
      const access = env.host as Access;
      const found = matches(access.rows(table), env, frames, where);
      for (const { rows } of found) access.lock(table, rows[0] as Row, "update", false);
      for (const { rows } of found) access.remove(table, rows[0] as Row);
      return { ...returning(found), rowCount: found.length };
    };
  }

  #assignments(set: readonly Assignment[], table: Table, scope: Scope): (env: Env) => Row {
    const values = set.map(({ column, value }) => {
      const type = table.columns.get(column)?.type;
      if (type === undefined) throw new SqlError("42703", `column ${column} of ${table.name} does not exist`);
      return { column, value: as(compile(value, scope), type) };
    });
    return (env) => Object.fromEntries(values.map(({ column, value }) => [column, value.run(env)]));
  }

  #returning(
    items: readonly Item[] | null,
    scope: Scope,
  ): (envs: readonly Env[]) => Pick<Outcome, "rows" | "columns"> {
    const compiled = this.#compiler.items(items ?? [], scope);
    const columns = typesOf(compiled);
    return (envs) => ({
      rows:
        items === null
          ? []
          : envs.map((env) => Object.fromEntries(compiled.map(({ name, value }) => [name, value.run(env)]))),
      columns,
    });
  }

  /** NOT NULL and CHECK. */
  #checks(table: Table): (row: Row, env: Env) => void {
    const item = { alias: table.name, columns: this.#compiler.columnsOf(table.name) };
    const scope = this.#compiler.scope([item]);
    const checks = [...table.checks].map(([name, check]) => ({ name, check: compile(check, scope) }));
    return (row, env) => {
      for (const [name, { notNull }] of table.columns)
        if (notNull && row[name] === null)
          throw new SqlError("23502", `null value in column "${name}" of relation "${table.name}"`);
      for (const { name, check } of checks)
        if (check.run({ ...env, rows: [row] }) === false)
          throw new SqlError(
            "23514",
            `new row for relation "${table.name}" violates check constraint "${name}"`,
          );
    };
  }

  #uniques(table: Table): Uniques {
    const item = { alias: table.name, columns: this.#compiler.columnsOf(table.name) };
    const scope = this.#compiler.scope([item]);
    const indexes = table.uniques.map(({ columns, where }) => ({
      columns,
      where: where === null ? null : compile(where, scope),
    }));
    return {
      find(row, access, env, claims, changed) {
        for (const [at, { columns, where }] of indexes.entries()) {
          if (changed !== undefined && !columns.some((column) => changed.has(column))) continue;
          const isIn = (one: Row): boolean => where === null || where.run({ ...env, rows: [one] }) === true;
          if (!isIn(row) || columns.some((column) => row[column] === null)) continue;
          const key = keyOf(columns.map((column) => keyOf(row[column])));
          if (claims) access.claim(`${table.name} ${at} ${key}`);
          const other = access
            .rows(table.name)
            .find(
              (one) =>
                one["ctid"] !== row["ctid"] &&
                keyOf(columns.map((column) => keyOf(one[column]))) === key &&
                isIn(one),
            );
          if (other !== undefined) return other;
        }
        return null;
      },
    };
  }
}

interface Uniques {
  /** The row that stands in the way. */
  find(row: Row, access: Access, env: Env, claims: boolean, changed?: ReadonlySet<string>): Row | null;
}

/** Each row of the table once, with the first others that it goes together with. */
function matches(rows: readonly Row[], env: Env, frames: (env: Env) => Env[], where: Compiled | null): Env[] {
  return rows.flatMap((row) => {
    const found = frames({ ...env, rows: [row] }).find(
      (frame) => where === null || where.run(frame) === true,
    );
    return found === undefined ? [] : [found];
  });
}

const typesOf = (items: readonly { name: string; value: Compiled }[]): Columns =>
  new Map(items.map(({ name, value }) => [name, value.type]));

const uniqueViolation = ({ name }: Table): SqlError =>
  new SqlError("23505", `duplicate key value violates a unique constraint of "${name}"`);
