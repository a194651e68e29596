/** The functions that the adapters' statements call. */
import type { Host } from "./host.ts";
import { compare, convert, INFINITY, SqlError } from "./values.ts";

const AGGREGATES = new Set(["count", "sum", "min", "max", "array_agg", "jsonb_agg", "jsonb_object_agg"]);

export const isAggregate = (name: string): boolean => AGGREGATES.has(name);

export function typeOfAggregate(name: string, of: string): string {
  switch (name) {
    case "count":
      return "bigint";
    case "sum":
      return of === "int" ? "bigint" : "numeric";
    case "array_agg":
      return `${of}[]`;
    case "min":
    case "max":
      return of;
    default:
      return "jsonb";
  }
}

/** The largest, or with -1 the smallest; null where there is none. */
function extreme(values: readonly unknown[], sign: 1 | -1): unknown {
  let [best = null] = values;
  for (const value of values) if (compare(value, best) * sign > 0) best = value;
  return best;
}

const plain = (value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value);

export function callAggregate(name: string, rows: readonly (readonly unknown[])[]): unknown {
  const values = rows.map(([first]) => first ?? null);
  const present = values.filter((value) => value !== null);
  switch (name) {
    case "count":
      return BigInt(present.length);
    case "sum":
      if (present.length === 0) return null;
      return present.reduce<bigint>(
        (sum, value) => sum + (convert(value, "unknown", "bigint") as bigint),
        0n,
      );
    case "min":
      return extreme(present, -1);
    case "max":
      return extreme(present, 1);
    case "array_agg":
      return values.length === 0 ? null : values;
    case "jsonb_agg":
      return values.length === 0 ? null : values.map(plain);
    default:
      return rows.length === 0
        ? null
        : Object.fromEntries(rows.map(([key, value]) => [String(key), plain(value)]));
  }
}

const TYPES: Readonly<Record<string, string>> = {
  now: "timestamptz",
  clock_timestamp: "timestamptz",
  to_timestamp: "timestamptz",
  isfinite: "bool",
  epoch: "numeric",
  date_bin: "timestamptz",
  nextval: "bigint",
  gen_random_uuid: "uuid",
  to_regclass: "regclass",
  pg_total_relation_size: "bigint",
  jsonb_build_object: "jsonb",
  repeat: "text",
  format: "text",
};

export function typeOfFunction(name: string, ofArguments: string): string {
  if (["coalesce", "greatest", "least"].includes(name)) return ofArguments;
  const type = TYPES[name];
  if (type === undefined) throw new SqlError("42883", `function ${name} is none that the simulation knows`);
  return type;
}

/** Text functions of the catalog need their arguments as texts. */
export function callFunction(
  name: string,
  host: Host,
  args: readonly unknown[],
  types: readonly string[],
): unknown {
  const present = args.filter((value) => value !== null);
  switch (name) {
    case "coalesce":
      return present[0] ?? null;
    case "greatest":
      return extreme(present, 1);
    case "least":
      return extreme(present, -1);
    case "now":
      return host.startedAt;
    case "clock_timestamp":
      return host.clock;
    case "gen_random_uuid":
      return host.uuid();
    case "jsonb_build_object": {
      const pairs: [string, unknown][] = [];
      for (let at = 0; at < args.length; at += 2) pairs.push([String(args[at]), plain(args[at + 1])]);
      return Object.fromEntries(pairs);
    }
  }
  const [first, second] = args;
  if (first === null || first === undefined) return null;
  switch (name) {
    case "to_timestamp":
      return BigInt(Math.round(Number(first) * 1_000_000));
    case "isfinite":
      return first !== INFINITY && first !== -INFINITY;
    case "epoch":
      return Number(first) / 1_000_000;
    case "date_bin": {
      const [span, at, origin] = [convert(first, "unknown", "interval"), second, args[2]] as bigint[];
      const since = (at as bigint) - (origin as bigint);
      if (since < 0n) throw new SqlError("22008", "the simulation knows no bins before the origin");
      return (origin as bigint) + since - (since % (span as bigint));
    }
    case "nextval":
      return host.nextval(String(first));
    case "repeat":
      return String(first).repeat(Number(second));
    case "pg_total_relation_size":
      return 8192n;
    case "to_regclass": {
      const table = String(first).replaceAll('"', "");
      return host.has(table) ? oidOf(table) : null;
    }
    case "format":
      return `${String(first)}`.replace("%I.%I", args.slice(1).join("."));
  }
  throw new SqlError("42883", `function ${name}(${types.join(", ")}) does not exist`);
}

/** Every table has its number. */
const OIDS = new Map<string, string>();
export function oidOf(table: string): string {
  const known = OIDS.get(table) ?? String(16_384 + OIDS.size);
  OIDS.set(table, known);
  return known;
}
