/** Rows as lines that compare equal wherever they were read: in the table, in a Parquet file or in an answer. */
import { convert } from "./sql/values.ts";

export interface Line {
  readonly id: string;
  /** Microseconds since 1970. */
  readonly ts: bigint;
  readonly action: string;
  readonly note: string | null;
  readonly amount: string | null;
}

export function lineOf(row: Readonly<Record<string, unknown>>): string {
  const text = (value: unknown): string | null =>
    value === null || value === undefined ? null : String(value);
  return JSON.stringify([
    text(row["id"]),
    text(row["ts"]),
    row["action"],
    row["note"] ?? null,
    text(row["amount"]),
  ]);
}

export function parseLine(line: string): Line {
  const [id, ts, action, note, amount] = JSON.parse(line) as [
    string,
    string,
    string,
    string | null,
    string | null,
  ];
  return { id, ts: BigInt(ts), action, note, amount };
}

/** A line of an answer in NDJSON. */
export function lineOfAnswer(json: string): string {
  const row = JSON.parse(json) as Record<string, unknown>;
  return lineOf({ ...row, ts: convert(row["ts"], "text", "timestamptz") });
}

const HOUR = 3_600_000_000n;

/** Whole days since 1970. */
export const dayOfLine = (line: string): number => Number(parseLine(line).ts / (24n * HOUR));
