/**
 * rewrite: a segment some of whose chunks were exported anew is written again without them, so that a folder of Parquet
 * files holds each row once. How chunks are copied, and when that counts, is in `copied-chunks.ts`.
 */
import { readManifest } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { invariant } from "../errors.ts";
import type { StageContext } from "./context.ts";
import { copyChunks } from "./copied-chunks.ts";

export async function rewriteSegment<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
): Promise<SegmentRecord> {
  const { catalog, failpoint, policy } = context;
  const { pipeline } = policy;
  const manifest = await readManifest({ ...context, pipeline }, record);
  const chunks = (await catalog.chunks(pipeline, record.segment))
    .filter(({ state }) => state === "pruned")
    .map(({ chunk }) => chunk);
  invariant(chunks.length > 0, `segment ${record.segment}`, "no chunk of it is pruned");
  const { storageClass, leaf } = record;
  const { table, source } = manifest;
  const rewritten = await copyChunks(context, [{ record, manifest, chunks }], {
    storageClass,
    leaf,
    table: { table, source },
    onUploaded: () => failpoint("rewrite.uploaded"),
  });
  failpoint("rewrite.sealed");
  return rewritten;
}
