/**
 * How large a partition's chunks are. A last chunk of a few rows costs a statement, and lines of digests in the manifest, as a
 * full one does, and leaves all others as large as they may be; but whoever looks for one row reads its whole chunk. Pure.
 */
import type { ChunkLimits } from "../hot/port.ts";

/** Of a chunk; where the last one would be smaller than this, all are of about equal size. */
const CRUMB_SHARE = 0.1;

/** For so many rows, as the plan counted them: those that came since make a further chunk. Never more than the limits. */
export function evenChunks(limits: ChunkLimits, rows: bigint): ChunkLimits {
  const rowsMax = BigInt(limits.rowsMax);
  const [full, crumb] = [rows / rowsMax, rows % rowsMax];
  if (full === 0n || crumb === 0n || Number(crumb) >= limits.rowsMax * CRUMB_SHARE) return limits;
  return { ...limits, rowsMax: Number((rows + full) / (full + 1n)) };
}
