/** A row of numbers as one line of marks, from the lowest to the highest of them. */

const BLOCKS = "▁▂▃▄▅▆▇█";
/** For terminals that have no blocks: each is a little higher or darker than the one before. */
const ASCII = "_.:-=+*#";
const LEVELS = BLOCKS.length;

/**
 * Whether what is printed is read as UTF-8: by the locale's variables, in the order in which they count. Without any it
 * is not known, and plain marks do no harm.
 */
export function readsUtf8(environ: Readonly<Record<string, string | undefined>>): boolean {
  const locale = environ["LC_ALL"] || environ["LC_CTYPE"] || environ["LANG"] || "";
  return /utf-?8/i.test(locale);
}

/** Null is a gap. Equal numbers are all low if they are 0, else in the middle. */
export function sparkline(values: readonly (bigint | null)[], { utf8 }: { readonly utf8: boolean }): string {
  const { min, max } = extent(values) ?? { min: 0n, max: 0n };
  const marks = utf8 ? BLOCKS : ASCII;
  const level = (value: bigint): number => {
    if (max === min) return max === 0n ? 0 : LEVELS / 2 - 1;
    return Number(((value - min) * BigInt(LEVELS - 1) * 2n + (max - min)) / ((max - min) * 2n));
  };
  return values.map((value) => (value === null ? " " : (marks[level(value)] as string))).join("");
}

/** Null where there is no number. */
export function extent(
  values: readonly (bigint | null)[],
): { readonly min: bigint; readonly max: bigint } | null {
  const known = values.filter((value) => value !== null);
  const [first] = known;
  if (first === undefined) return null;
  return {
    min: known.reduce((least, value) => (value < least ? value : least), first),
    max: known.reduce((most, value) => (value > most ? value : most), first),
  };
}
