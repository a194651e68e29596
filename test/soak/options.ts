/** The soak's arguments. */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";

export interface SoakOptions {
  readonly minutes: number;
  /** What the writers choose, when runs are killed, which ranges are asked for. When things happen, the machine decides. */
  readonly seed: number;
  readonly archive: "folder" | "s3";
  /** Transactions a second. */
  readonly rate: number;
  /** Connections that write. */
  readonly writers: number;
}

export const USAGE = `usage: npm run test:soak -- [--minutes 10] [--seed N] [--archive folder|s3] [--rate 200] [--writers 4]

  --minutes  how long writers write; a fifth of it without Firnline, to compare with
  --seed     of an earlier soak, to have its choices again
  --archive  s3 takes Ceph's radosgw on the PATH
  --rate     transactions a second, a few rows each
  --writers  connections that write
`;

/** Throws for what is not an argument. */
export function readOptions(argv: readonly string[]): SoakOptions | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: "string", default: "10" },
      seed: { type: "string" },
      archive: { type: "string", default: "folder" },
      rate: { type: "string", default: "200" },
      writers: { type: "string", default: "4" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const { archive } = values;
  if (archive !== "folder" && archive !== "s3")
    throw new Error(`--archive ${archive} is neither folder nor s3`);
  return {
    minutes: number("--minutes", values.minutes, 0.5),
    seed: Math.trunc(number("--seed", values.seed ?? String(randomInt(2 ** 31)), 0)),
    archive,
    rate: number("--rate", values.rate, 1),
    writers: Math.trunc(number("--writers", values.writers, 1)),
  };
}

function number(name: string, text: string, min: number): number {
  const value = /^\d{1,9}(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min) return value;
  throw new Error(`${name} ${text} is not a number from ${min} on`);
}
