/** Expressions as functions. Types are known when a statement is compiled; a parameter or a text takes the other side's. */
import type { Expression, Order, Select } from "./syntax.ts";
import { callAggregate, callFunction, isAggregate, typeOfAggregate, typeOfFunction } from "./functions.ts";
import type { Host } from "./host.ts";
import { compare, convert, SqlError } from "./values.ts";

export type Row = Record<string, unknown>;

export interface Env {
  readonly host: Host;
  readonly parameters: readonly unknown[];
  /** One for each item of FROM. */
  readonly rows: readonly Row[];
  readonly outer: Env | null;
  /** Of an aggregated query: the rows of the group. */
  readonly group: readonly Env[] | null;
  /** Results of WITH. */
  readonly ctes: ReadonlyMap<string, readonly Row[]>;
}

export interface Compiled {
  readonly type: string;
  run(env: Env): unknown;
}

export interface ScopeItem {
  readonly alias: string;
  readonly columns: ReadonlyMap<string, string>;
}

export interface Scope {
  readonly items: readonly ScopeItem[];
  readonly outer: Scope | null;
  readonly ctes: ReadonlyMap<string, ReadonlyMap<string, string>>;
  subselect(select: Select, outer: Scope): { columns: ReadonlyMap<string, string>; run(env: Env): Row[] };
}

/** `value` where a `type` is wanted. */
export function as(value: Compiled, type: string): Compiled {
  if (value.type === type) return value;
  const { run, type: from } = value;
  return { type, run: (env) => convert(run(env), from, type) };
}

/** Both sides in one type. */
function alike(left: Compiled, right: Compiled): [Compiled, Compiled] {
  if (left.type === right.type)
    return left.type === "unknown" ? [as(left, "text"), as(right, "text")] : [left, right];
  if (left.type === "unknown") return [as(left, right.type), right];
  if (right.type === "unknown") return [left, as(right, left.type)];
  return [left, right];
}

export function compile(e: Expression, scope: Scope): Compiled {
  switch (e.k) {
    case "literal": {
      const { value } = e;
      return { type: e.type, run: () => value };
    }
    case "parameter": {
      const at = e.number - 1;
      return { type: "unknown", run: (env) => env.parameters[at] ?? null };
    }
    case "column":
      return column(e.table, e.name, scope);
    case "unary": {
      const of = compile(e.of, scope);
      if (e.op === "not") return { type: "bool", run: (env) => negate(of.run(env)) };
      return { type: of.type, run: (env) => -(of.run(env) as bigint) };
    }
    case "binary":
      return binary(e.op, e.left, e.right, scope);
    case "is": {
      const of = compile(e.of, scope);
      const wanted = e.what === "null" ? null : e.what === "true";
      return { type: "bool", run: (env) => (of.run(env) === wanted) !== e.not };
    }
    case "distinct": {
      const [left, right] = alike(compile(e.left, scope), compile(e.right, scope));
      return { type: "bool", run: (env) => isDistinct(left.run(env), right.run(env)) !== e.not };
    }
    case "in": {
      const of = e.list.map((one) => binary("=", e.of, one, scope));
      return {
        type: "bool",
        run: (env) => {
          const found = either(of.map((one) => one.run(env)));
          return e.not ? negate(found) : found;
        },
      };
    }
    case "any":
      return any(e, compile(e.left, scope), compile(e.list, scope));
    case "case":
      return cases(e, scope);
    case "cast":
      return as(compile(e.of, scope), e.type);
    case "call":
      return call(e, scope);
    case "zone": {
      const of = compile(e.of, scope);
      const from = of.type === "unknown" ? as(of, "timestamptz") : of;
      return { type: from.type === "timestamp" ? "timestamptz" : "timestamp", run: from.run };
    }
    case "exists": {
      const { run } = scope.subselect(e.select, scope);
      return { type: "bool", run: (env) => run(env).length > 0 };
    }
    case "scalar":
    case "rows": {
      const { columns, run } = scope.subselect(e.select, scope);
      const [[name, type] = ["", "unknown"]] = [...columns];
      if (e.k === "rows") return { type: `${type}[]`, run: (env) => run(env).map((row) => row[name]) };
      return {
        type,
        run: (env) => {
          const rows = run(env);
          if (rows.length > 1) throw new SqlError("21000", "more than one row returned by a subquery");
          return rows[0]?.[name] ?? null;
        },
      };
    }
    case "row":
      throw new SqlError("0A000", "a row stands where the simulation knows none");
  }
}

function column(table: string | null, name: string, scope: Scope): Compiled {
  let depth = 0;
  for (let at: Scope | null = scope; at !== null; at = at.outer, depth += 1) {
    for (const [index, item] of at.items.entries()) {
      if (table !== null && table !== item.alias) continue;
      const type = item.columns.get(name);
      if (type === undefined) continue;
      if (depth === 0) return { type, run: (env) => env.rows[index]?.[name] ?? null };
      const up = depth;
      return {
        type,
        run: (env) => {
          let from: Env | null = env;
          for (let n = 0; n < up; n += 1) from = from?.outer ?? null;
          return from?.rows[index]?.[name] ?? null;
        },
      };
    }
  }
  // The name of a row alone, as `unnest(...) AS oid` has it.
  const alone = scope.items.findIndex((item) => item.alias === name && item.columns.size === 1);
  if (alone >= 0 && table === null) {
    const [[only, type] = ["", "unknown"]] = [...(scope.items[alone]?.columns ?? [])];
    return { type, run: (env) => env.rows[alone]?.[only] ?? null };
  }
  throw new SqlError("42703", `column ${table === null ? "" : `${table}.`}${name} does not exist`);
}

const negate = (value: unknown): boolean | null => (value === null ? null : value !== true);

function either(values: readonly unknown[]): boolean | null {
  if (values.includes(true)) return true;
  return values.includes(null) ? null : false;
}

function isDistinct(left: unknown, right: unknown): boolean {
  if (left === null || right === null) return left !== right;
  return compare(left, right) !== 0;
}

const TESTS: Readonly<Record<string, (difference: number) => boolean>> = {
  "=": (difference) => difference === 0,
  "<>": (difference) => difference !== 0,
  "!=": (difference) => difference !== 0,
  "<": (difference) => difference < 0,
  ">": (difference) => difference > 0,
  "<=": (difference) => difference <= 0,
  ">=": (difference) => difference >= 0,
};

function any({ op, all }: { op: string; all: boolean }, left: Compiled, list: Compiled): Compiled {
  const test = TESTS[op];
  if (test === undefined) throw new SqlError("42883", `operator ${op} ANY`);
  const wanted =
    list.type === "unknown" ? as(list, `${left.type === "unknown" ? "text" : left.type}[]`) : list;
  const one = left.type === "unknown" ? as(left, wanted.type.slice(0, -2)) : left;
  return {
    type: "bool",
    run: (env) => {
      const [value, values] = [one.run(env), wanted.run(env) as readonly unknown[] | null];
      if (value === null || values === null) return null;
      const found = values.map((other) => (other === null ? null : test(compare(value, other))));
      return all ? negate(either(found.map(negate))) : either(found);
    },
  };
}

function binary(op: string, l: Expression, r: Expression, scope: Scope): Compiled {
  const test = TESTS[op];
  if (l.k === "row" && r.k === "row" && test !== undefined) return rowTest(test, l.items, r.items, scope);
  const [left, right] = [compile(l, scope), compile(r, scope)];
  if (op === "and" || op === "or") {
    const decides = op === "or";
    return {
      type: "bool",
      run: (env) => {
        const first = left.run(env);
        if (first === decides) return decides;
        const second = right.run(env);
        if (second === decides) return decides;
        return first === null || second === null ? null : !decides;
      },
    };
  }
  if (test !== undefined) {
    const [a, b] = alike(left, right);
    return {
      type: "bool",
      run: (env) => {
        const [x, y] = [a.run(env), b.run(env)];
        return x === null || y === null ? null : test(compare(x, y));
      },
    };
  }
  const whole = (type: string, run: (x: never, y: never) => unknown, a = left, b = right): Compiled => ({
    type,
    run: (env) => {
      const [x, y] = [a.run(env), b.run(env)];
      return x === null || y === null ? null : run(x as never, y as never);
    },
  });
  if (op === "->" || op === "->>") {
    const key = right.type === "unknown" ? as(right, "text") : right;
    const field = (x: Record<string, unknown>, y: string | bigint): unknown => x[String(y)] ?? null;
    if (op === "->") return whole("jsonb", field, left, key);
    return whole("text", (x, y) => convert(field(x, y), "jsonb", "text"), left, key);
  }
  if (op === "?")
    return whole("bool", (x: object, y: string) => Object.hasOwn(x, y), left, as(right, "text"));
  if (op === "||") {
    if (left.type !== "jsonb")
      return whole("text", (x: string, y: string) => x + y, as(left, "text"), as(right, "text"));
    return whole("jsonb", (x: object, y: object) =>
      Array.isArray(x) ? [...x, ...(y as unknown[])] : { ...x, ...y },
    );
  }
  return arithmetic(op, left, right, whole);
}

function arithmetic(
  op: string,
  left: Compiled,
  right: Compiled,
  whole: (type: string, run: (x: never, y: never) => unknown, a?: Compiled, b?: Compiled) => Compiled,
): Compiled {
  const add = (x: bigint, y: bigint): bigint => (op === "-" ? x - y : x + y);
  if (op === "+" || op === "-") {
    if (left.type === "date" && right.type === "date") return whole("int", add);
    if (left.type === "date") return whole("date", add, left, as(right, "int"));
    if (left.type.startsWith("timestamp")) return whole(left.type, add, left, as(right, "interval"));
  }
  if (op === "*" && right.type === "interval") {
    const times = (x: number, y: bigint): bigint => BigInt(Math.round(x * Number(y)));
    return whole("interval", times, left.type === "unknown" ? as(left, "numeric") : as(left, "numeric"));
  }
  const [a, b] = alike(left, right);
  if (a.type === "numeric" || b.type === "numeric") {
    const run = (x: number, y: number): number =>
      op === "+" ? x + y : op === "-" ? x - y : op === "*" ? x * y : x / y;
    return whole("numeric", run, as(a, "numeric"), as(b, "numeric"));
  }
  const type = a.type === "bigint" || b.type === "bigint" ? "bigint" : a.type;
  return whole(
    type,
    op === "*" ? (x: bigint, y: bigint) => x * y : op === "/" ? (x: bigint, y: bigint) => x / y : add,
    a,
    b,
  );
}

/** `(a, b) >= (c, d)`: the first that differ decide. */
function rowTest(
  test: (difference: number) => boolean,
  l: readonly Expression[],
  r: readonly Expression[],
  scope: Scope,
): Compiled {
  const pairs = l.map((one, at) => alike(compile(one, scope), compile(r[at] as Expression, scope)));
  return {
    type: "bool",
    run: (env) => {
      for (const [a, b] of pairs) {
        const [x, y] = [a.run(env), b.run(env)];
        if (x === null || y === null) return null;
        const difference = compare(x, y);
        if (difference !== 0) return test(difference);
      }
      return test(0);
    },
  };
}

function cases(e: Extract<Expression, { k: "case" }>, scope: Scope): Compiled {
  const arms = e.arms.map(({ when, result }) => ({
    when: compile(when, scope),
    result: compile(result, scope),
  }));
  const otherwise = e.otherwise === null ? null : compile(e.otherwise, scope);
  const results = [...arms.map(({ result }) => result), ...(otherwise === null ? [] : [otherwise])];
  const type = results.find((one) => one.type !== "unknown")?.type ?? "text";
  return {
    type,
    run: (env) => {
      const arm = arms.find(({ when }) => when.run(env) === true);
      const chosen = arm?.result ?? otherwise;
      return chosen === null ? null : convert(chosen.run(env), chosen.type, type);
    },
  };
}

function call(e: Extract<Expression, { k: "call" }>, scope: Scope): Compiled {
  const args = e.args.map((arg) => compile(arg, scope));
  if (!isAggregate(e.name)) {
    const known = args.find(({ type }) => type !== "unknown")?.type ?? "text";
    const type = typeOfFunction(e.name, known);
    const taken = ["coalesce", "greatest", "least"].includes(e.name)
      ? args.map((arg) => as(arg, known))
      : args;
    return {
      type,
      run: (env) =>
        callFunction(
          e.name,
          env.host,
          taken.map((arg) => arg.run(env)),
          taken.map((arg) => arg.type),
        ),
    };
  }
  const filter = e.filter === null ? null : compile(e.filter, scope);
  const order = e.order.map((one) => ({ by: compile(one.by, scope), descending: one.descending }));
  return {
    type: typeOfAggregate(e.name, args[0]?.type ?? "unknown"),
    run: (env) => {
      if (env.group === null) throw new SqlError("42803", `aggregate ${e.name} where there is no group`);
      const kept = env.group.filter((one) => filter === null || filter.run(one) === true);
      const sorted = order.length === 0 ? kept : sortEnvs(kept, order);
      return callAggregate(
        e.name,
        sorted.map((one) => args.map((arg) => arg.run(one))),
      );
    },
  };
}

export interface CompiledOrder {
  readonly by: Compiled;
  readonly descending: boolean;
}

/** NULLs last, as Postgres sorts upwards. */
export function sortEnvs(envs: readonly Env[], order: readonly CompiledOrder[]): Env[] {
  return envs
    .map((env) => ({ env, keys: order.map(({ by }) => by.run(env)) }))
    .sort((left, right) => compareKeys(left.keys, right.keys, order))
    .map(({ env }) => env);
}

export function compareKeys(
  left: readonly unknown[],
  right: readonly unknown[],
  order: readonly Pick<Order, "descending">[],
): number {
  for (const [at, { descending }] of order.entries()) {
    const [x, y] = [left[at], right[at]];
    const difference = x === null || y === null ? Number(x === null) - Number(y === null) : compare(x, y);
    if (difference !== 0) return descending ? -difference : difference;
  }
  return 0;
}

export function hasAggregate(e: Expression | null): boolean {
  if (e === null) return false;
  switch (e.k) {
    case "call":
      return isAggregate(e.name) || e.args.some(hasAggregate);
    case "binary":
    case "distinct":
      return hasAggregate(e.left) || hasAggregate(e.right);
    case "unary":
    case "cast":
    case "is":
    case "zone":
      return hasAggregate(e.of);
    case "case":
      return (
        e.arms.some(({ when, result }) => hasAggregate(when) || hasAggregate(result)) ||
        hasAggregate(e.otherwise)
      );
    default:
      return false;
  }
}
