/** The benchmark's arguments. */
import { parseArgs } from "node:util";
import { type Shape, SHAPES } from "./data.ts";

export interface BenchOptions {
  readonly rows: number;
  readonly shape: Shape;
  readonly rounds: number;
  /** No further case is begun after so long. */
  readonly minutes: number;
  /** Prefixes of the names of cases; empty for all. */
  readonly only: readonly string[];
  readonly json: boolean;
  /** An SVG file to write. */
  readonly chart: string | null;
}

export const USAGE = `usage: npm run bench -- [--rows N] [--shape narrow|audit|wide] [--rounds N] [--only CASE,...] [--json]
                        [--minutes N] [--chart FILE.svg]

  --rows     rows of the table; 1,000,000
  --shape    audit rows have about 560 bytes, narrow ones 66, wide ones 915
  --rounds   measurements of each case, one after the other through all cases; 3
  --minutes  no further case is begun after so long, and what was measured is told; 600
  --only     cases whose names begin so: floor,firnline.export,peer
  --json     one object a line instead of a table
  --chart    writes the table as an SVG, too
`;

/** Throws for what is not an argument. */
export function readOptions(argv: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rows: { type: "string", default: "1000000" },
      shape: { type: "string", default: "audit" },
      rounds: { type: "string", default: "3" },
      minutes: { type: "string", default: "600" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      chart: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const { only } = values;
  const shape = SHAPES.find((one) => one === values.shape);
  if (shape === undefined) throw new Error(`--shape ${values.shape} is none of ${SHAPES.join(", ")}`);
  return {
    rows: wholeNumber("--rows", values.rows, 1_000),
    shape,
    rounds: wholeNumber("--rounds", values.rounds, 1),
    minutes: wholeNumber("--minutes", values.minutes, 1),
    only: only.split(",").filter(Boolean),
    json: values.json,
    chart: values.chart ?? null,
  };
}

function wholeNumber(name: string, text: string, min: number): number {
  const value = /^\d{1,9}$/.test(text.replaceAll("_", "")) ? Number(text.replaceAll("_", "")) : Number.NaN;
  if (value >= min) return value;
  throw new Error(`${name} ${text} is not a whole number from ${min} on`);
}
