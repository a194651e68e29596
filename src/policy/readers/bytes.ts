/** Sizes in binary units. `KB` is refused, because half of the world means 1,000 by it. */
import { read, refuse, shown, type Reading } from "./reading.ts";

const UNITS = [
  ["GiB", 1n << 30n],
  ["MiB", 1n << 20n],
  ["KiB", 1n << 10n],
  ["B", 1n],
] as const;

/** The largest object that S3 copies in one request; packing up to more than that makes no sense. */
const OBJECT_BYTES_MAX = 5n << 30n;

export const BYTES_PATTERN = "^(0|[1-9][0-9]{0,11})(B|KiB|MiB|GiB)$";

const WRITE_UNITS = "Write a whole number of B, KiB, MiB or GiB, for example 128KiB";

/** Reads `128KiB`, `0B`, `1GiB`; at most 5 GiB. */
export function readBytes(text: string): Reading<bigint> {
  const match = new RegExp(BYTES_PATTERN).exec(text);
  const unit = UNITS.find(([name]) => name === match?.[2]);
  if (!match || !unit) return refuse(`not a size (found ${shown(text)})`, WRITE_UNITS);
  const bytes = BigInt(match[1] as string) * unit[1];
  if (bytes > OBJECT_BYTES_MAX) {
    return refuse(
      `more than ${formatBytes(OBJECT_BYTES_MAX)} (found ${shown(text)})`,
      "Write a smaller size",
    );
  }
  return read(bytes);
}

/** The shortest exact form: 131072n is `128KiB`, 1000n is `1000B`. `readBytes` reads it back. */
export function formatBytes(bytes: bigint): string {
  const [name, size] = UNITS.find(([, unit]) => bytes >= unit && bytes % unit === 0n) ?? ["B", 1n];
  return `${bytes / size}${name}`;
}
