/**
 * export: a partition's rows, read in one snapshot, become one or more uploaded segments. Commit point: the catalog's
 * `uploaded`, with the draft of the manifest. A crash before it leaves a segment in `exporting`, which the next run
 * abandons; its object, if any, is named by nothing.
 */
import { FirnlineError } from "../errors.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import type { PartitionName } from "../hot/port.ts";
import { formatDay } from "../rows/day.ts";
import type { Bound } from "../rows/key-range.ts";
import { encodeManifest } from "../segment/manifest.ts";
import { shapeOf } from "../segment/shape.ts";
import { objectLocator } from "../archive/locators.ts";
import { leafName, type StageContext } from "./context.ts";
import { evenChunks } from "./even-chunks.ts";
import { RowGroupQueue } from "./row-group-queue.ts";
import { type ExportedRange, SegmentBuild } from "./segment-build.ts";

/** 64 bits, so that ids differ even between clones that share a catalog sequence. */
export const ID_BYTES = 8;

export interface ExportOptions {
  /** No rows are a result: what was archived is gone from the table. */
  readonly replaces?: boolean;
  /** As the plan counted them. */
  readonly rows?: bigint;
  /** Called when the last row has come; what is left is to encode and upload. */
  readonly onReceived?: () => void;
}

export async function exportPartition<Tx>(
  context: StageContext<Tx>,
  partition: PartitionName,
  { replaces = false, rows = 0n, onReceived }: ExportOptions = {},
): Promise<SegmentRecord[]> {
  const { hot, source, limits, pace } = context;
  return await hot.exportPartition(
    source,
    partition,
    evenChunks(limits.chunk, rows),
    async ({ range, chunks, fingerprint }) => {
      const queue = new RowGroupQueue(pace.each(chunks), range.to, limits, onReceived);
      try {
        const segments: SegmentRecord[] = [];
        let from = range.from;
        while ((await queue.peek()) !== null) {
          const request = { ...partition, range, from, fingerprint, replaces };
          const exported = await exportSegment(context, request, queue);
          segments.push(exported.record);
          from = exported.end;
        }
        if (segments.length > 0 || replaces) return segments;
      } finally {
        await queue.close();
      }
      // Hazard 6: after a TRUNCATE a snapshot shows no rows. The plan counted some, so this is not an empty day.
      throw new FirnlineError({
        code: "E_SOURCE",
        subject: `${source.table.schema}.${source.table.name} ${formatDay(partition.day)}`,
        problem: "the rows that the plan counted are gone",
        hint: "Was the table truncated or rewritten? Nothing was archived or deleted for this day; run again",
      });
    },
  );
}

async function exportSegment<Tx>(
  context: StageContext<Tx>,
  request: ExportedRange & { readonly replaces: boolean },
  queue: RowGroupQueue,
): Promise<{ record: SegmentRecord; end: Bound }> {
  const { archive, catalog, failpoint, lease, policy, random, signal } = context;
  const { storageClass } = policy.warm;
  const { rule, day, replaces } = request;
  const reserved = await catalog.reserveSegment(lease, {
    leaf: leafName(request.leaf),
    rule,
    day,
    replaces,
    storageClass,
    random: random(ID_BYTES),
  });
  failpoint("export.reserved");
  const { key } = objectLocator(policy.pipeline, reserved);
  const build = new SegmentBuild(context, reserved.segment, request);
  const created = await archive.create(key, build.object(queue), { storageClass, signal });
  if (created.outcome === "exists") {
    throw new FirnlineError({
      code: "E_OWNER",
      subject: key,
      problem: "a fresh segment id is taken already",
      hint: "Another database writes to this archive; find out which, nothing was deleted",
      key,
    });
  }
  failpoint("export.uploaded");
  const { pin } = created;
  const manifest = build.manifest(pin);
  await catalog.uploaded(lease, reserved.segment, {
    rows: build.rows,
    object: { versionId: pin.versionId, bytes: pin.bytes },
    chunkRows: build.chunkRows,
    draft: encodeManifest(manifest),
    shape: shapeOf(context.newHash, manifest),
  });
  failpoint("export.recorded");
  return { record: await catalog.segment(policy.pipeline, reserved.segment), end: build.end };
}
