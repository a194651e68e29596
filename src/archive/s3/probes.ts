/**
 * Small objects and uploads that tell what the store can do. Each is removed right after; what a killed process left of
 * them is found here. No pipeline has this name, so whoever may delete here can delete nothing else.
 */
import type { EpochMs } from "../../rows/day.ts";
import type { ListedVersion, Swept } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { deleteOne } from "./versions.ts";

export const PROBE_FOLDER = "_firnline/_probe/";

/** A name that nobody else has. */
export function newProbe(bucket: Bucket, op: string): Where {
  return { op, key: `${PROBE_FOLDER}${Buffer.from(bucket.options.random(8)).toString("hex")}` };
}

/** Removes those of `listed`, all that there is in the folder, that were made before `olderThan`. */
export async function sweepProbes(
  bucket: Bucket,
  op: string,
  listed: AsyncIterable<ListedVersion>,
  olderThan: EpochMs,
): Promise<Swept> {
  let files = 0;
  let bytes = 0n;
  for await (const { key, versionId, modifiedAt, ...one } of listed) {
    if (modifiedAt >= olderThan) continue;
    await deleteOne(bucket, { op, key }, versionId);
    files += 1;
    bytes += one.bytes;
  }
  return { files, bytes };
}
