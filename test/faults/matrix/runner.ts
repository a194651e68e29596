/** Runs lines of the matrix, some at a time, and prints each where the table has it. */
import { inspect } from "node:util";
import { type FaultLine, NotToBeHad } from "./line.ts";
import { Bench, type ArchiveKind } from "./bench.ts";

export interface LineResult {
  readonly line: FaultLine;
  readonly outcome: "passed" | "failed" | "skipped";
  /** What was seen, what went wrong, or why it was skipped. */
  readonly seen: string;
  readonly seconds: number;
}

export interface RunnerOptions {
  readonly archive: ArchiveKind;
  /** Lines at a time. */
  readonly lanes: number;
  /** A line that takes longer has failed. */
  readonly lineMsMax: number;
  /** Gets each result, in the order of the lines. */
  readonly onResult: (result: LineResult) => void;
  /** Ends what is under way, and begins nothing more. */
  readonly signal: AbortSignal;
}

/** Lines that take longest come first, so that nobody waits for them alone at the end. */
const LONG: readonly number[] = [44];

export async function runLines(lines: readonly FaultLine[], options: RunnerOptions): Promise<LineResult[]> {
  const waiting = [...lines].sort((a, b) => LONG.indexOf(b.number) - LONG.indexOf(a.number));
  const results = new Map<FaultLine, LineResult>();
  let shown = 0;
  const lane = async (): Promise<void> => {
    for (let line = waiting.shift(); line !== undefined; line = waiting.shift()) {
      if (options.signal.aborted) return;
      results.set(line, await runLine(line, options));
      for (let next = results.get(at(lines, shown)); next !== undefined && !options.signal.aborted;) {
        options.onResult(next);
        shown += 1;
        next = shown < lines.length ? results.get(at(lines, shown)) : undefined;
      }
    }
  };
  await Promise.all(Array.from({ length: options.lanes }, lane));
  return [...results.values()];
}

const at = (lines: readonly FaultLine[], index: number): FaultLine => lines[index] as FaultLine;

async function runLine(line: FaultLine, options: RunnerOptions): Promise<LineResult> {
  const { archive, lineMsMax, signal } = options;
  const started = performance.now();
  const bench = new Bench(archive);
  const stop = AbortSignal.any([signal, AbortSignal.timeout(lineMsMax)]);
  const stopped = new Promise<never>((_, reject) => {
    stop.addEventListener("abort", () => {
      reject(new Error(signal.aborted ? "it was stopped" : `it took more than ${lineMsMax / 1000} s`));
    });
  });
  const result = await Promise.race([line.run(bench), stopped]).then(
    (seen) => ({ outcome: "passed", seen }) as const,
    (error: unknown) =>
      error instanceof NotToBeHad
        ? ({ outcome: "skipped", seen: error.message } as const)
        : ({ outcome: "failed", seen: told(error) } as const),
  );
  const ended = await bench[Symbol.asyncDispose]().then(
    () => result,
    (error: unknown) =>
      result.outcome === "failed"
        ? result
        : ({ outcome: "failed", seen: `what it used did not end: ${told(error)}` } as const),
  );
  return { line, ...ended, seconds: (performance.now() - started) / 1000 };
}

/** The message, and for an assertion what was found and expected. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { actual, expected } = error as { actual?: unknown; expected?: unknown };
  if (actual === undefined && expected === undefined) return `${error.message}${place(error)}`;
  const shown = (value: unknown): string =>
    inspect(value, { depth: 6, breakLength: 120, maxArrayLength: 10, maxStringLength: 2_000 });
  return `${error.message}${place(error)}\n  found ${shown(actual)}\n  expected ${shown(expected)}`;
}

/** Where in the matrix. */
function place(error: Error): string {
  const line = error.stack?.split("\n").find((one) => /\/matrix\/lines-/.test(one));
  return line === undefined ? "" : ` (${/lines-[\w.-]+:\d+/.exec(line)?.[0]})`;
}

/** Columns in the widths that all lines need. */
export class Table {
  readonly #names: ReadonlyMap<FaultLine, string>;
  readonly #widths: { readonly fault: number; readonly stage: number };

  constructor(lines: readonly FaultLine[]) {
    this.#names = new Map(
      [...Map.groupBy(lines, ({ number }) => number).values()].flatMap((parts) =>
        parts.map((part, index) => [part, nameOf(part, parts.length === 1 ? null : index)] as const),
      ),
    );
    this.#widths = {
      fault: Math.max(5, ...lines.map(({ fault }) => fault.length)),
      stage: Math.max(5, ...lines.map(({ stage }) => stage.length)),
    };
  }

  header(): string {
    return this.#row(" # ", "fault", "stage", "expect", "seconds", "seen");
  }

  row({ line, outcome, seen, seconds }: LineResult): string {
    const what = outcome === "passed" ? seen : `${outcome.toUpperCase()}: ${seen}`;
    const number = this.#names.get(line) ?? nameOf(line, null);
    return this.#row(number, line.fault, line.stage, line.expected, seconds.toFixed(1), what);
  }

  #row(
    number: string,
    fault: string,
    stage: string,
    expected: string,
    seconds: string,
    seen: string,
  ): string {
    const { fault: faultWidth, stage: stageWidth } = this.#widths;
    const cells = [number, fault.padEnd(faultWidth), stage.padEnd(stageWidth), expected.padEnd(6)];
    return [...cells, seconds.padStart(7), seen].join("  ");
  }
}

/** `7 ` for a line of one part, `8a` and so on for one of several. */
const nameOf = ({ number }: FaultLine, part: number | null): string =>
  `${String(number).padStart(2)}${part === null ? " " : String.fromCodePoint(97 + part)}`;

/**
 * `44 passed, 0 failed`, and the skipped with their reasons. A line has passed when all its parts have, and has failed when one
 * of them has.
 */
export function closingLines(results: readonly LineResult[]): string[] {
  const outcomes = [...Map.groupBy(results, ({ line }) => line.number).values()].map(
    (parts) =>
      (["failed", "skipped"] as const).find((bad) => parts.some(({ outcome }) => outcome === bad)) ??
      "passed",
  );
  const count = (outcome: LineResult["outcome"]): number => outcomes.filter((one) => one === outcome).length;
  const closing = `${count("passed")} passed, ${count("failed")} failed`;
  const skipped = results.filter(({ outcome }) => outcome === "skipped");
  if (skipped.length === 0) return [closing];
  const reasons = Map.groupBy(skipped, ({ seen }) => seen);
  return [
    `${closing}, ${count("skipped")} skipped`,
    ...[...reasons].map(
      ([reason, of]) => `skipped ${of.map(({ line }) => line.number).join(", ")}: ${reason}`,
    ),
  ];
}
