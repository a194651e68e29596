/** SELECT: nested loops over small tables. */
import {
  compareKeys,
  compile,
  type Compiled,
  type Env,
  hasAggregate,
  type Row,
  type Scope,
  type ScopeItem,
} from "./compile-expression.ts";
import type { Host } from "./host.ts";
import type { Table, Tables } from "./schema.ts";
import type { Expression, From, Item, LockMode, Select } from "./syntax.ts";
import { convert, handOut, keyOf, SqlError } from "./values.ts";

/** What a statement does to the rows of a transaction. A lock that somebody else has is thrown as `MustWait`. */
export interface Access extends Host {
  /** The rows of a table as this statement sees them. */
  rows(table: string): readonly Row[];
  insert(table: string, row: Row): Row;
  replace(table: string, before: Row, after: Row): Row;
  remove(table: string, row: Row): void;
  /** False: somebody else has it, and the statement would rather skip the row than wait. */
  lock(table: string, row: Row, mode: LockMode, skip: boolean): boolean;
  /** Waits for whoever is about to insert the same. */
  claim(key: string): void;
}

export type Columns = ReadonlyMap<string, string>;

export interface CompiledSelect {
  readonly columns: Columns;
  run(env: Env): Row[];
}

/** Columns that every table has besides its own. */
const SYSTEM_COLUMNS: readonly (readonly [string, string])[] = [
  ["ctid", "bigint"],
  ["tableoid", "oid"],
];

export class Compiler {
  readonly tables: Tables;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  table(name: string): Table {
    const table = this.tables.get(name);
    if (table === undefined) throw new SqlError("42P01", `relation "${name}" does not exist`);
    return table;
  }

  scope(items: readonly ScopeItem[], outer: Scope | null = null, ctes: Scope["ctes"] = new Map()): Scope {
    return {
      items,
      outer,
      ctes: outer === null ? ctes : new Map([...outer.ctes, ...ctes]),
      subselect: (select, scope) => {
        const { columns, run } = this.select(select, scope);
        return { columns, run: (env) => run({ ...env, rows: [], group: null, outer: env }) };
      },
    };
  }

  columnsOf(name: string): Columns {
    const own = [...this.table(name).columns].map(([column, { type }]) => [column, type] as const);
    return new Map([...own, ...SYSTEM_COLUMNS]);
  }

  /** Frames of rows, one after the other; `ctes` of a statement with WITH. */
  from(
    items: readonly From[],
    first: readonly ScopeItem[],
    outer: Scope | null,
    ctes: Scope["ctes"],
  ): { scope: Scope; names: readonly (string | null)[]; frames(env: Env): Env[] } {
    const all: ScopeItem[] = [...first];
    const steps: { rows(env: Env): readonly Row[]; test: Compiled | null }[] = [];
    const names: (string | null)[] = first.map(() => null);
    for (const item of items) {
      const before = this.scope([...all], outer, ctes);
      const source = this.#source(item, before);
      names.push(item.source.k === "table" && !before.ctes.has(item.source.name) ? item.source.name : null);
      all.push({ alias: item.alias, columns: source.columns });
      const here = this.scope([...all], outer, ctes);
      const using = item.using.map((name): Expression => {
        const left: Expression = { k: "column", table: all[0]?.alias ?? null, name };
        return { k: "binary", op: "=", left, right: { k: "column", table: item.alias, name } };
      });
      const tests = [...using, ...(item.on === null ? [] : [item.on])];
      const joined = tests.reduce<Expression | null>(
        (left, right) => (left === null ? right : { k: "binary", op: "and", left, right }),
        null,
      );
      steps.push({ rows: source.rows, test: joined === null ? null : compile(joined, here) });
    }
    return {
      scope: this.scope(all, outer, ctes),
      names,
      frames: (env) =>
        steps.reduce<Env[]>(
          (envs, { rows, test }) =>
            envs.flatMap((one) => {
              const next = rows(one).map((row) => ({ ...one, rows: [...one.rows, row] }));
              return test === null ? next : next.filter((candidate) => test.run(candidate) === true);
            }),
          [env],
        ),
    };
  }

  #source(item: From, scope: Scope): { columns: Columns; rows(env: Env): readonly Row[] } {
    const { source } = item;
    if (source.k === "select") {
      const { columns, run } = scope.subselect(source.select, scope);
      return { columns, rows: run };
    }
    if (source.k === "table") {
      const cte = scope.ctes.get(source.name);
      if (cte !== undefined) return { columns: cte, rows: (env) => env.ctes.get(source.name) ?? [] };
      const { name } = source;
      return { columns: this.columnsOf(name), rows: ({ host }) => (host as Access).rows(name) };
    }
    if (source.name === "jsonb_populate_recordset") return this.#recordset(source.args, scope);
    if (source.name !== "unnest") throw new SqlError("42883", `function ${source.name} in FROM`);
    const args = source.args.map((arg) => compile(arg, scope));
    const names = args.map((_, at) => item.columns[at] ?? (args.length === 1 ? item.alias : `c${at}`));
    const columns = new Map(names.map((name, at) => [name, (args[at]?.type ?? "").slice(0, -2)]));
    const counter = source.ordinality ? (item.columns[args.length] ?? "ordinality") : null;
    if (counter !== null) columns.set(counter, "bigint");
    return {
      columns,
      rows: (env) => {
        const lists = args.map((arg) => (arg.run(env) ?? []) as readonly unknown[]);
        const length = Math.max(0, ...lists.map((list) => list.length));
        return Array.from({ length }, (_, at) => {
          const row: Row = {};
          for (const [index, name] of names.entries()) row[name] = lists[index]?.[at] ?? null;
          if (counter !== null) row[counter] = BigInt(at + 1);
          return row;
        });
      },
    };
  }

  #recordset(args: readonly Expression[], scope: Scope): { columns: Columns; rows(env: Env): Row[] } {
    const [shape, records] = args;
    const table = this.table(shape?.k === "cast" ? shape.type : "");
    const columns = new Map([...table.columns].map(([name, { type }]) => [name, type]));
    const list = compile(records as Expression, scope);
    return {
      columns,
      rows: (env) =>
        (convert(list.run(env), list.type, "jsonb") as Row[]).map((record) =>
          Object.fromEntries(
            [...columns].map(([name, type]) => [name, convert(record[name] ?? null, "unknown", type)]),
          ),
        ),
    };
  }

  /** Items of a SELECT or RETURNING; `*` is the columns of all tables. */
  items(items: readonly Item[], scope: Scope): { name: string; value: Compiled }[] {
    return items.flatMap(({ what, name }) => {
      if (what !== null) {
        // Postgres takes a text that nothing gives a type for a text.
        return [{ name, value: compile(what, scope) }];
      }
      return scope.items.flatMap(({ alias, columns }) =>
        [...columns.keys()]
          .filter((column) => !SYSTEM_COLUMNS.some(([system]) => system === column))
          .map((column) => ({
            name: column,
            value: compile({ k: "column", table: alias, name: column }, scope),
          })),
      );
    });
  }

  select(select: Select, outer: Scope | null, ctes: Scope["ctes"] = new Map()): CompiledSelect {
    const { scope, names, frames } = this.from(select.from, [], outer, ctes);
    const where = select.where === null ? null : compile(select.where, scope);
    const unnested = select.items.findIndex(({ what }) => what?.k === "call" && what.name === "unnest");
    const expanded = select.items.map((item, at) =>
      at === unnested && item.what?.k === "call" ? { ...item, what: item.what.args[0] as Expression } : item,
    );
    // Columns without a name of their own are told apart by their places.
    const items = this.items(expanded, scope).map(({ name, value }, at, all) => ({
      name: all.findIndex((one) => one.name === name) === at ? name : `${name} ${at}`,
      value,
    }));
    const columns = new Map(
      items.map(({ name, value }, at) => [name, at === unnested ? value.type.slice(0, -2) : value.type]),
    );
    const group = select.group.map((e) => {
      const place = e.k === "literal" && typeof e.value === "bigint" ? items[Number(e.value) - 1] : undefined;
      return place?.value ?? compile(e, scope);
    });
    const isGrouped =
      group.length > 0 || select.having !== null || select.items.some(({ what }) => hasAggregate(what));
    const having = select.having === null ? null : compile(select.having, scope);
    const order = select.order.map(({ by, descending }) => {
      const isPlace = by.k === "literal" && typeof by.value === "bigint";
      const isAlias = by.k === "column" && by.table === null && items.some(({ name }) => name === by.name);
      const inScope =
        isAlias && scope.items.some((item) => item.columns.has(by.k === "column" ? by.name : ""));
      const output = isPlace
        ? items[Number(by.value) - 1]
        : isAlias && !inScope
          ? items.find(({ name }) => name === by.name)
          : undefined;
      return { by: output?.value ?? compile(by, scope), descending };
    });
    const limit = select.limit === null ? null : compile(select.limit, scope);
    const offset = select.offset === null ? null : compile(select.offset, scope);
    const { lock, distinct } = select;

    const run = (env: Env): Row[] => {
      let envs = frames(env);
      if (where !== null) envs = envs.filter((one) => where.run(one) === true);
      if (isGrouped) envs = grouped(env, envs, group);
      if (having !== null) envs = envs.filter((one) => having.run(one) === true);
      if (order.length > 0) {
        envs = envs
          .map((one) => ({ one, keys: order.map(({ by }) => by.run(one)) }))
          .sort((left, right) => compareKeys(left.keys, right.keys, order))
          .map(({ one }) => one);
      }
      if (offset !== null) envs = envs.slice(Number(offset.run(env)));
      const most = limit === null ? null : limit.run(env);
      const count = most === null ? Number.POSITIVE_INFINITY : Number(most);
      if (lock !== null) {
        const taken: Env[] = [];
        for (const one of envs) {
          if (taken.length >= count) break;
          if (lockFrame(one, names, scope, lock)) taken.push(one);
        }
        envs = taken;
      } else if (count < envs.length) envs = envs.slice(0, count);
      let rows = envs.map((one) =>
        Object.fromEntries(items.map(({ name, value }) => [name, value.run(one)])),
      );
      const listed = unnested < 0 ? undefined : items[unnested];
      if (listed !== undefined) {
        const { name, value } = listed;
        rows = rows.flatMap((row) =>
          ((row[name] ?? []) as unknown[]).map((one) => ({
            ...row,
            [name]:
              value.type === "unknown" ? one : convert(one, value.type.slice(0, -2), value.type.slice(0, -2)),
          })),
        );
      }
      return distinct
        ? [...new Map(rows.map((row) => [keyOf(Object.values(row).map(keyOf)), row])).values()]
        : rows;
    };
    return { columns, run };
  }
}

function grouped(env: Env, envs: readonly Env[], group: readonly Compiled[]): Env[] {
  if (group.length === 0) {
    const [first] = envs;
    return [{ ...(first ?? { ...env, rows: [] }), group: envs }];
  }
  const groups = Map.groupBy(envs, (one) => keyOf(group.map((by) => keyOf(by.run(one)))));
  return [...groups.values()].map((members) => ({ ...(members[0] as Env), group: members }));
}

function lockFrame(
  env: Env,
  names: readonly (string | null)[],
  scope: Scope,
  lock: NonNullable<Select["lock"]>,
): boolean {
  return names.every((name, at) => {
    const isMeant = lock.of.length === 0 || lock.of.includes(scope.items[at]?.alias ?? "");
    if (name === null || !isMeant) return true;
    return (env.host as Access).lock(name, env.rows[at] as Row, lock.mode, lock.skip);
  });
}

/** Rows as the driver hands them out. */
export function handOutRows(rows: readonly Row[], columns: Columns): Row[] {
  const types = [...columns];
  return rows.map((row) => Object.fromEntries(types.map(([name, type]) => [name, handOut(row[name], type)])));
}
