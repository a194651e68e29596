/**
 * What `doctor` advises: nothing that would make a run unsafe, but something that makes it slow, or that will bite
 * later. It is printed like a finding, and never refuses a run.
 */
export type AdviceCode =
  | "A_BUCKET" // a bucket that could be safer
  | "A_CAPACITY" // a disk that may fill up
  | "A_CATALOG" // the control schema waits for `firnline migrate`
  | "A_HORIZON" // something keeps vacuum from removing deleted rows
  | "A_INDEX" // an index that is missing or broken
  | "A_POLICY" // a policy that a run will ask about
  | "A_ROWS" // rows that no stage ever moves
  | "A_SPACE" // disk space that pruned rows leave empty
  | "A_TIMEOUT" // a limit that ends long statements
  | "A_VACUUM"; // autovacuum that comes too seldom for a table that is pruned every night

export interface Advice {
  readonly code: AdviceCode;
  /** What it is about: a table, a session, a folder. */
  readonly subject: string;
  /** What was found. No final full stop. */
  readonly problem: string;
  /** What a person may do about it. No final full stop. */
  readonly hint: string;
  /** Statements or commands that do it, ready to be pasted; `--` and `#` begin a remark. */
  readonly fix: readonly string[];
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1.4 GiB`, as a sentence wants it. */
export function sizeText(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 9.95 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** `45 seconds`, `3 hours`: the largest unit that there are two of. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [size, unit] = (
    [
      [86_400, "day"],
      [3_600, "hour"],
      [60, "minute"],
    ] as const
  ).find(([length]) => whole >= 2 * length) ?? [1, "second"];
  const count = Math.floor(whole / size);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
