/** Medians over the rounds, and what they are of the floor. */
import type { Case, Sample } from "./bench.ts";

/** Of a case: one line of `--json`, one row of the table. */
export interface Result {
  readonly case: string;
  readonly rows: number;
  readonly rounds: number;
  readonly rowsPerSecond: number | null;
  /** Rows a second over those of `floor.copy-zstd` in the same run; null where that was not measured. */
  readonly ratioToFloor: number | null;
  readonly seconds: number;
  readonly secondsMin: number;
  readonly secondsMax: number;
  /** Of the process under test and its children. */
  readonly cpuNodeSeconds: number;
  /** Of all processes of the server. */
  readonly cpuPostgresSeconds: number | null;
  /** The highest of all rounds. */
  readonly peakRssBytes: number;
  /** Of what was written. */
  readonly bytes: number | null;
  /** What a case has of its own. */
  readonly [extra: string]: number | string | null;
}

const FLOOR = "floor.copy-zstd";

/** A field of one case over the same of another, as a field of its own. */
const COMPARISONS = [
  ...["firnline.move", "firnline.move-day", "firnline.move-partition", "peer.duckdb"].map((name) => ({
    name,
    field: "seconds",
    to: FLOOR,
    as: "timesFloor",
  })),
  { name: "firnline.prune", field: "seconds", to: "plain.delete", as: "timesPlainDelete" },
  ...["writers.move", "writers.move-hurried"].map((name) => ({
    name,
    field: "p99Ms",
    to: "writers.alone",
    as: "p99TimesAlone",
  })),
];

export function summarise(samples: ReadonlyMap<Case, readonly Sample[]>): Result[] {
  const results = [...samples]
    .filter(([, list]) => list.length > 0)
    .map(([one, list]) => resultOf(one, list));
  const floor = results.find((result) => result.case === FLOOR)?.rowsPerSecond ?? null;
  return results.map((result) => ({
    ...result,
    ratioToFloor:
      floor === null || result.rowsPerSecond === null ? null : round(result.rowsPerSecond / floor, 3),
    ...comparisons(result, results),
  }));
}

/** Only where both were measured in this run. */
function comparisons(result: Result, results: readonly Result[]): Record<string, number> {
  const pairs = COMPARISONS.filter(({ name }) => name === result.case).flatMap(({ field, to, as }) => {
    const [own, other] = [result[field], results.find((one) => one.case === to)?.[field]];
    return typeof own === "number" && typeof other === "number" ? [[as, round(own / other, 2)] as const] : [];
  });
  return Object.fromEntries(pairs);
}

function resultOf({ name, isThroughput }: Case, samples: readonly Sample[]): Result {
  const first = samples[0] as Sample;
  const middle = (field: string, digits: number): number | string | null => {
    const values = samples.map((sample) => sample[field] ?? null);
    const numbers = values.filter((value) => typeof value === "number");
    return numbers.length === values.length ? round(median(numbers), digits) : (values[0] ?? null);
  };
  const seconds = samples.map((sample) => sample.seconds);
  const own = Object.keys(first).filter((field) => !COMMON.has(field));
  return {
    case: name,
    rows: first.rows,
    rounds: samples.length,
    rowsPerSecond: isThroughput ? Math.round(first.rows / median(seconds)) : null,
    ratioToFloor: null,
    seconds: round(median(seconds), 3),
    secondsMin: round(Math.min(...seconds), 3),
    secondsMax: round(Math.max(...seconds), 3),
    cpuNodeSeconds: middle("cpuNodeSeconds", 2) as number,
    cpuPostgresSeconds: middle("cpuPostgresSeconds", 2) as number | null,
    peakRssBytes: Math.max(...samples.map((sample) => sample.peakRssBytes)),
    bytes: middle("bytes", 0) as number | null,
    ...Object.fromEntries(own.map((field) => [field, middle(field, 4)])),
  };
}

const COMMON: ReadonlySet<string> = new Set([
  "rows",
  "bytes",
  "seconds",
  "cpuNodeSeconds",
  "cpuPostgresSeconds",
  "peakRssBytes",
]);

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
