/** Rows as lines that compare equal wherever they were read: in the table, in a Parquet file or in an answer. */

export type Row = Readonly<Record<string, unknown>>;

/** NULLs are left out: a column that came or went is NULL, and an answer may or may not name it. */
export function lineOf(row: Row): string {
  const fields = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
  return JSON.stringify(Object.fromEntries(fields.sort(([left], [right]) => (left < right ? -1 : 1))));
}

export const rowOf = (line: string): Row => JSON.parse(line) as Row;

/** Microseconds since 1970 as `to_jsonb` prints a timestamptz in UTC. */
export function textOfMicros(micros: bigint): string {
  const seconds = new Date(Number(micros / 1_000_000n) * 1000).toISOString().slice(0, 19);
  const fraction = String(micros % 1_000_000n)
    .padStart(6, "0")
    .replace(/0+$/, "");
  return `${seconds}${fraction === "" ? "" : `.${fraction}`}+00:00`;
}

/** Days since 1970 of a row's time, which is in UTC. */
export const dayOfRow = ({ ts }: Row): number =>
  Date.parse(`${String(ts).slice(0, 10)}T00:00:00Z`) / 86_400_000;

/** A bag of lines. */
export class Bag {
  readonly #counts = new Map<string, number>();

  constructor(lines: Iterable<string> = []) {
    for (const line of lines) this.add(line);
  }

  add(line: string): void {
    this.#counts.set(line, this.count(line) + 1);
  }

  /** Whether it was there. */
  remove(line: string): boolean {
    const count = this.count(line);
    if (count > 1) this.#counts.set(line, count - 1);
    else this.#counts.delete(line);
    return count > 0;
  }

  count(line: string): number {
    return this.#counts.get(line) ?? 0;
  }

  *[Symbol.iterator](): Generator<string, void, undefined> {
    for (const [line, count] of this.#counts) for (let n = 0; n < count; n += 1) yield line;
  }

  /** What is in here more often than in `other`. */
  minus(other: Bag): string[] {
    return [...this.#counts].flatMap(([line, count]) =>
      Array.from({ length: Math.max(0, count - other.count(line)) }, () => line),
    );
  }
}
