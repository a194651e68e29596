/**
 * pack: segments of a rule's month that are too small for the cold class become one. Each chunk keeps its day, and the
 * table that its rows were in. How chunks are copied, and when that counts, is in `copied-chunks.ts`.
 *
 * What is packed was pruned long ago, and nothing else holds its rows: the segments that it was made of count until the
 * journal entry `packed`, and `collect` removes them after the recovery window.
 */
import { inParallel } from "../archived/read-manifests.ts";
import { readManifest } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { invariant } from "../errors.ts";
import { formatDay } from "../rows/day.ts";
import { type Manifest, tableOf } from "../segment/manifest.ts";
import type { LeafName } from "../segment/partition-key.ts";
import { shapeOf } from "../segment/shape.ts";
import type { StageContext } from "./context.ts";
import { type CopySource, copyChunks } from "./copied-chunks.ts";

/** Returns the new segments: one, or more where one would be larger than a segment may be. */
export async function packSegments<Tx>(
  context: StageContext<Tx>,
  segments: readonly string[],
): Promise<SegmentRecord[]> {
  const { catalog, failpoint, limits, policy } = context;
  const records: SegmentRecord[] = [];
  for (const segment of segments) {
    const record = await catalog.segment(policy.pipeline, segment);
    // It may have gone its own way since the plan was made.
    if (record.state === "warm" && record.rowsSuperseded === 0n && record.object !== null) {
      records.push(record);
    }
  }
  records.sort((left, right) => left.dayFrom - right.dayFrom || (left.segment < right.segment ? -1 : 1));
  const bytesMin = policy.cold?.objectBytesMin ?? context.coldBytesMin;
  const bytesEnough = bytesMin > BigInt(limits.segmentBytesMax) ? bytesMin : BigInt(limits.segmentBytesMax);
  const packed: SegmentRecord[] = [];
  // What is left may not be enough for one.
  if (records.reduce((sum, { object }) => sum + (object?.bytes ?? 0n), 0n) < bytesMin) return packed;
  for (const group of groupsOf(records, bytesEnough, bytesMin)) {
    if (group.length < 2) continue;
    packed.push(await packGroup(context, group));
    failpoint("pack.sealed");
  }
  return packed;
}

/** Each is large enough, and ends as soon as it is; what is left over at the end joins the last one. */
function groupsOf(
  records: readonly SegmentRecord[],
  bytesEnough: bigint,
  bytesMin: bigint,
): SegmentRecord[][] {
  const groups: { records: SegmentRecord[]; bytes: bigint }[] = [];
  for (const record of records) {
    const bytes = record.object?.bytes ?? 0n;
    const last = groups.at(-1);
    if (last === undefined || last.bytes >= bytesEnough) groups.push({ records: [record], bytes });
    else {
      last.records.push(record);
      last.bytes += bytes;
    }
  }
  const [before, last] = groups.slice(-2);
  if (before !== undefined && last !== undefined && last.bytes < bytesMin) {
    before.records.push(...last.records);
    groups.pop();
  }
  return groups.map((group) => group.records);
}

async function packGroup<Tx>(
  context: StageContext<Tx>,
  records: readonly SegmentRecord[],
): Promise<SegmentRecord> {
  const { failpoint, newHash, policy, report } = context;
  const manifests = new Map<string, Manifest>();
  await inParallel(records, async (record) => {
    manifests.set(record.segment, await readManifest({ ...context, pipeline: policy.pipeline }, record));
  });
  const sources = records.map((record): CopySource => {
    const manifest = manifests.get(record.segment) as Manifest;
    const isSame = shapeOf(newHash, manifest) === record.shape && record.shape === records[0]?.shape;
    invariant(isSame, `segment ${record.segment}`, "it has other columns than the catalog says");
    return { record, manifest, chunks: [...manifest.chunks.keys()] };
  });
  const leaf = commonLeaf(records);
  const packed = await copyChunks(context, sources, {
    storageClass: policy.warm.storageClass,
    leaf,
    table: tableFor(context, sources),
    onUploaded: () => failpoint("pack.uploaded"),
  });
  const subject = `${packed.rule} ${formatDay(packed.dayFrom).slice(0, -3)}`;
  report({ stage: "pack", subject, rows: packed.rows, bytes: packed.object?.bytes ?? 0n });
  return packed;
}

/** The one leaf that all rows came from; null where there are several, or the source is a plain table. */
function commonLeaf(records: readonly SegmentRecord[]): LeafName | null {
  const [one] = records;
  return one !== undefined && records.every(({ leaf }) => leaf?.oid === one.leaf?.oid) ? one.leaf : null;
}

/** The one table that all rows came from, as the newest segment knows it; the source itself where there are several. */
function tableFor<Tx>(
  { source }: StageContext<Tx>,
  sources: readonly CopySource[],
): Pick<Manifest, "table" | "source"> {
  const names = sources.flatMap(({ manifest }) =>
    manifest.chunks.map((chunk) => {
      const { schema, name } = tableOf(manifest, chunk);
      return JSON.stringify([schema, name]);
    }),
  );
  const newest = (sources.at(-1) as CopySource).manifest;
  const isOne = new Set(names).size === 1;
  if (isOne && newest.chunks.every(({ table }) => table === undefined)) {
    return { table: newest.table, source: newest.source };
  }
  return { table: { ...source.table, oid: source.identity.tableOid }, source: source.identity };
}
