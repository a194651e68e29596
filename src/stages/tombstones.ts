/**
 * Tombstones: evidence of archived rows that the application deleted before they were pruned. They are written to the
 * journal when their chunk is exported anew and never used as a filter (hazard 17b): a key that moved to another day or
 * rule has not died, so keys are looked for in the whole table.
 */
import { hasSameKey, keysOf } from "../archived/archived-keys.ts";
import { readChunkGroups, readManifest } from "../archived/read-chunks.ts";
import type { ChunksOf } from "../segment/journal.ts";
import type { StageContext } from "./context.ts";

/** Keys that one entry names; `rows` counts all. */
const KEYS_MAX = 1_000;

export async function recordMissing<Tx>(
  context: StageContext<Tx>,
  { segment, chunks }: ChunksOf,
): Promise<void> {
  const { catalog, hot, journal, policy, source } = context;
  const reader = { ...context, pipeline: policy.pipeline };
  const record = await catalog.segment(policy.pipeline, segment);
  const manifest = await readManifest(reader, record);
  // Without a key, or with another one since, nothing says which rows are gone.
  if (!hasSameKey(manifest, source)) return;
  const wanted = new Set(chunks);
  for await (const group of readChunkGroups(reader, record, manifest, (chunk) => wanted.has(chunk))) {
    for (const archived of group) {
      const keys = keysOf(manifest, archived.rows);
      const missing = await hot.missingKeys(source, keys);
      if (missing.length === 0) continue;
      await journal.append({
        type: "tombstoned",
        segment,
        chunk: archived.chunk,
        rows: String(missing.length),
        keys: missing.slice(0, KEYS_MAX).map((index) => [...(keys[index] as readonly string[])]),
      });
    }
  }
}
