/** A retrieval, and whether its answer is exactly the rows that are there (I8). */
import { strict as assert } from "node:assert";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Environment } from "../../src/environment.ts";
import { isFirnlineError } from "../../src/errors.ts";
import { retrieveRange, type RetrieveResult } from "../../src/retrieve/retrieve-range.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import { formatDay, type DayUtc } from "../../src/rows/day.ts";
import { dayOfRow, lineOf, type Row, rowOf } from "./rows.ts";
import type { Sight } from "./sight.ts";
import type { Happening } from "./steps.ts";

/** First and last day; null for everything. */
export type Days = { readonly from: number; readonly to: number } | null;

export interface Answer {
  readonly result: RetrieveResult;
  readonly lines: readonly string[];
}

export async function askFor(environment: Environment<unknown>, folder: string, days: Days): Promise<Answer> {
  const out = join(folder, "answer.ndjson");
  const [from, to] =
    days === null
      ? ["0001-01-01", "9999-12-31"]
      : [days.from, days.to].map((day) => formatDay(day as DayUtc));
  const result = await retrieveRange(environment, {
    request: parseRange(from as string, to as string, []),
    out,
    format: "ndjson",
    requestedBy: "the model",
    prices: null,
    terms: { allow: "any" },
    temporary: folder,
    signal: new AbortController().signal,
  });
  const text = await readFile(out, "utf8");
  await rm(out);
  await rm(result.evidence);
  const lines = text.split("\n").filter((line) => line !== "");
  return { result, lines: lines.map((line) => lineOf(inSqlTime(JSON.parse(line) as Row))) };
}

/** Answers have times with six digits and a Z, Postgres' JSON has as many digits as needed and an offset. */
const inSqlTime = (row: Row): Row => ({ ...row, ts: String(row["ts"]).replace(/\.?0*Z$/, "+00:00") });

/**
 * Rows with one key, time and content are given out once, wherever they are (a row that was archived and then inserted
 * again); with different contents all of them, and counted.
 */
export function expected(
  sight: Sight,
  days: Days,
): { lines: string[]; collapsed: number; conflicting: number } {
  const all = [...sight.byCatalog].filter((line) => {
    const day = dayOfRow(rowOf(line));
    return days === null || (day >= days.from && day <= days.to);
  });
  const lines = [...new Set(all)].sort();
  const sameKey = Map.groupBy(lines, (line) => {
    const { ts, id } = rowOf(line);
    return `${String(ts)} ${String(id)}`;
  });
  const conflicts = [...sameKey.values()].filter(({ length }) => length > 1);
  return { lines, collapsed: all.length - lines.length, conflicting: conflicts.flat().length };
}

/** `sights`: before and after what happened meanwhile; the answer is that of one instant. */
export function expectAnswer({ result, lines }: Answer, sights: readonly Sight[], days: Days): void {
  const { collapsed, conflicting } = result;
  const found = { lines: [...lines].sort(), collapsed: Number(collapsed), conflicting: Number(conflicting) };
  const right = sights.map((sight) => expected(sight, days));
  if (right.some((one) => isDeepStrictEqual(found, one))) return;
  assert.deepEqual(found, right.at(-1), "I8: the answer is exactly the rows of its range");
}

/** Complete or refused: whether a refusal has its reason. */
export function isRefusalExplained(
  error: Error,
  { hasRun, met, isRival }: { hasRun: boolean; met: ReadonlySet<Happening>; isRival: boolean },
): boolean {
  if (!hasRun) return isFirnlineError(error, "E_CATALOG");
  const hasNewShape = [...met].some((one) => one.what === "write" && one.write.do === "change schema");
  if (hasNewShape && isFirnlineError(error, "E_SOURCE")) return true;
  // The object went cold after it was found warm.
  return isRival && isFirnlineError(error, "E_COLD");
}
