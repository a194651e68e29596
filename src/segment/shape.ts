/**
 * What segments must have in common to be packed into one: a manifest says its columns, key, time and predicate once, for
 * all of its chunks.
 */
import { toHex } from "../rows/hex.ts";
import { canonicalBytes, type Json } from "./canonical-json.ts";
import type { NewSha256 } from "./digest.ts";
import type { Manifest } from "./manifest.ts";

/** 64 bits are plenty to tell the few shapes of a table apart, and the catalog has one a segment. */
const HEX_DIGITS = 16;

/** The beginning of a SHA-256 in lower-case hex; the same text for the same shape. */
export function shapeOf(
  newHash: NewSha256,
  { columns, key, time, predicate }: Pick<Manifest, "columns" | "key" | "time" | "predicate">,
): string {
  // The number of an attribute changes with a restore of the table, and says nothing of the rows.
  const same = columns.map(({ attnum: _, ...column }) => column);
  const shape = { columns: same, key, time, predicate } as unknown as Json;
  return toHex(newHash().update(canonicalBytes(shape)).digest()).slice(0, HEX_DIGITS);
}
