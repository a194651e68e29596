/**
 * Values as the statements see them: whole numbers and instants (microseconds since 1970) and dates (days since 1970) are
 * bigints, other numbers are numbers, json is what JSON.parse gives, NULL is null.
 */
import { formatDay, parseDay, type DayUtc } from "../../../src/rows/day.ts";

/** Later, and earlier, than every instant. */
export const INFINITY = 1n << 62n;
const MICROS_A_DAY = 86_400_000_000n;

/** A failure in Postgres' own terms. */
export class SqlError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const INSTANT =
  /^(\d{4,6})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/;

function parseInstant(text: string): bigint {
  if (text === "infinity") return INFINITY;
  if (text === "-infinity") return -INFINITY;
  const match = INSTANT.exec(text);
  if (match === null) throw new SqlError("22007", `invalid input syntax for an instant: "${text}"`);
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] = match;
  const at = new Date(0);
  at.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  at.setUTCHours(Number(hour), Number(minute), Number(second));
  const offset =
    zone === "Z"
      ? 0
      : Number(`${zone[0]}60`) * Number(zone.slice(1, 3)) + Number(zone.slice(3).replace(":", "") || 0);
  return (BigInt(at.getTime()) - BigInt(offset) * 60_000n) * 1000n + BigInt(fraction.padEnd(6, "0"));
}

function instantText(micros: bigint, suffix: string): string {
  if (micros === INFINITY) return "infinity";
  if (micros === -INFINITY) return "-infinity";
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const text = new Date(Number((micros - fraction) / 1000n)).toISOString().slice(0, 19).replace("T", " ");
  const digits = fraction === 0n ? "" : `.${fraction.toString().padStart(6, "0").replace(/0+$/, "")}`;
  return `${text}${digits}${suffix}`;
}

const floorDay = (micros: bigint): bigint => {
  const day = micros / MICROS_A_DAY;
  return micros % MICROS_A_DAY < 0n ? day - 1n : day;
};

const SPANS: Readonly<Record<string, bigint>> = {
  microsecond: 1n,
  millisecond: 1000n,
  minutes: 60_000_000n,
  day: MICROS_A_DAY,
};

function parseSpan(text: string): bigint {
  const [count = "", unit = ""] = text.split(" ");
  const span = SPANS[unit];
  if (span === undefined)
    throw new SqlError("22007", `an interval that the simulation does not know: ${text}`);
  return BigInt(count) * span;
}

function wholeNumber(value: unknown): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return BigInt(Math.round(value));
  if (!/^\s*-?\d+\s*$/.test(String(value)))
    throw new SqlError("22P02", `invalid whole number: "${String(value)}"`);
  return BigInt(String(value).trim());
}

/** A value that comes from outside or from another type, as one of `type`. */
export function convert(value: unknown, from: string, type: string): unknown {
  if (value === null || value === undefined) return null;
  if (from === type) return value;
  if (type.endsWith("[]")) {
    const inner = from.endsWith("[]") ? from.slice(0, -2) : "unknown";
    return (value as unknown[]).map((one) => convert(one, inner, type.slice(0, -2)));
  }
  switch (type) {
    case "int":
    case "bigint":
      return wholeNumber(value);
    case "numeric":
      return typeof value === "bigint" ? Number(value) : Number(String(value));
    case "bool":
      return typeof value === "boolean" ? value : value === "true" || value === "t";
    case "date":
      if (from === "timestamp") return floorDay(value as bigint);
      if (from === "unknown" || from === "text") return BigInt(parseDay(value as string));
      break;
    case "timestamp":
    case "timestamptz":
      if (from === "date") return (value as bigint) * MICROS_A_DAY;
      if (from === "unknown" || from === "text") return parseInstant(String(value));
      return value;
    case "interval":
      return parseSpan(String(value));
    case "jsonb":
      return typeof value === "string" ? (JSON.parse(value) as unknown) : value;
    case "bytea":
      return typeof value === "string" ? new Uint8Array(Buffer.from(value.slice(2), "hex")) : value;
    case "text":
    case "uuid":
    case "oid":
    case "regclass":
      return textOf(value, from);
    case "unknown":
      return value;
  }
  throw new SqlError("42846", `cannot cast ${from} to ${type}`);
}

function textOf(value: unknown, type: string): string {
  switch (type) {
    case "date":
      return formatDay(Number(value) as DayUtc);
    case "timestamptz":
      return instantText(value as bigint, "+00");
    case "timestamp":
      return instantText(value as bigint, "");
    case "jsonb":
      return typeof value === "string" ? value : JSON.stringify(value);
    default:
      return String(value);
  }
}

/** As the driver hands it out: int4 as a number, int8 and numeric as text. */
export function handOut(value: unknown, type: string): unknown {
  if (value === null || value === undefined) return null;
  if (type.endsWith("[]")) return (value as unknown[]).map((one) => handOut(one, type.slice(0, -2)));
  if (type === "int") return Number(value);
  if (type === "bigint" || type === "numeric") return String(value);
  if (["date", "timestamp", "timestamptz", "interval"].includes(type))
    throw new SqlError("0A000", `a ${type} is asked for as it is, which no adapter does`);
  return value;
}

/** RFC 8785's order of names, so that equal documents have equal texts. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
    return `{${fields.map(([name, one]) => `${JSON.stringify(name)}:${canonical(one)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Negative, zero or positive; both are of one type and not null. */
export function compare(left: unknown, right: unknown): number {
  if (left instanceof Uint8Array) return Buffer.compare(left, right as Uint8Array);
  if (typeof left === "object" || typeof right === "object") {
    const [a, b] = [canonical(left), canonical(right)];
    return a < b ? -1 : a > b ? 1 : 0;
  }
  const [a, b] = [left as bigint, right as bigint];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** For grouping and uniqueness: equal values have equal texts. */
export const keyOf = (value: unknown): string =>
  value instanceof Uint8Array
    ? Buffer.from(value).toString("hex")
    : typeof value === "bigint"
      ? value.toString()
      : canonical(value);
