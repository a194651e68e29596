/** The lines of the matrix whose fault is the store's, or on the way to it. */
import type { FaultLine } from "./line.ts";
import { COLD_LINES } from "./lines-store-cold.ts";
import { LISTING_LINES } from "./lines-store-listing.ts";
import { READ_LINES } from "./lines-store-reads.ts";
import { REFUSAL_LINES } from "./lines-store-refusals.ts";
import { WRITE_LINES } from "./lines-store-writes.ts";

export const STORE_LINES: readonly FaultLine[] = [
  ...WRITE_LINES,
  ...READ_LINES,
  ...COLD_LINES,
  ...REFUSAL_LINES,
  ...LISTING_LINES,
];
