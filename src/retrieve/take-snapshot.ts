/**
 * What an answer is made of, settled before its first row: cold segments are restored; then one snapshot says which
 * segments count and gives the hot rows, which are spooled; then all of their columns are united and the filters read.
 *
 * What cannot be united or filtered is refused before a restore is paid for, as far as that is known then: whether the
 * table has rows of the range is seen in the snapshot.
 */
import type { ReadableSegment } from "../catalog/port.ts";
import { checkpoint, type Environment } from "../environment.ts";
import type { SourceTable } from "../hot/port.ts";
import { dayOf, type EpochMicros } from "../rows/day.ts";
import { type PreparedFilter, prepareFilters } from "./filters.ts";
import type { KeptManifests } from "./kept-manifests.ts";
import type { RangeRequest } from "./request.ts";
import type { Restorer } from "./restore.ts";
import { requireCompared } from "./retrievable.ts";
import { requireSameHistory } from "./same-history.ts";
import { SegmentColumns } from "./segment-columns.ts";
import type { Spool } from "./spool.ts";
import { type UnitedColumns, uniteColumns } from "./united-columns.ts";

const RESTORE_ROUNDS_MAX = 3;

export interface SnapshotRequest {
  readonly source: SourceTable;
  readonly request: RangeRequest;
  readonly retrieval: string;
  readonly restorer: Restorer;
  /** Takes the hot rows, in the table's own columns. */
  readonly spool: Spool;
  readonly manifests: KeptManifests;
  readonly signal: AbortSignal;
}

export interface Snapshot {
  /** Pinned for the retrieval, and restored. */
  readonly segments: readonly ReadableSegment[];
  readonly united: UnitedColumns;
  readonly filters: readonly PreparedFilter[];
}

export async function takeSnapshot<Tx>(
  environment: Environment<Tx>,
  { source, request, restorer, retrieval, spool, manifests, signal }: SnapshotRequest,
): Promise<Snapshot> {
  const { catalog, hot, policy, report } = environment;
  const { pipeline } = policy;
  const dayFrom = dayOf(request.from);
  const dayTo = dayOf((request.to - 1n) as EpochMicros);
  const { fingerprint } = source;
  const columns = new SegmentColumns({ manifests, fingerprint, report, signal });
  const unite = async (
    segments: readonly ReadableSegment[],
  ): Promise<Pick<Snapshot, "united" | "filters">> => {
    await columns.read(segments);
    const united = uniteColumns(source, spool.rows > 0n, columns.of(segments));
    return { united, filters: await prepareFilters(hot, source, united, request.where) };
  };
  // A catalog of another history is refused before a restore is paid for, and once more on the answer's own snapshot.
  const today = await catalog.pipeline(pipeline);
  if (today !== null) await requireSameHistory(environment, today.journal);
  for (let round = 1; ; round += 1) {
    const expected = await catalog.readableNow(pipeline, dayFrom, dayTo);
    requireCompared(source, expected);
    await unite(expected);
    await restorer.makeReadable(expected);
    checkpoint(signal);
    const { first } = await hot.readRange(
      source,
      request,
      environment.limits.chunk,
      async (tx) => {
        const found = await catalog.readable(tx, pipeline, dayFrom, dayTo);
        // A segment that went cold, or appeared, since it was looked at may need a restore: look again.
        const known = new Map(expected.map(({ record }) => [record.segment, record.storageClass]));
        const settled = found.every(({ record }) => known.get(record.segment) === record.storageClass);
        if (!settled && round < RESTORE_ROUNDS_MAX) return null;
        const names = found.map(({ record }) => record.segment);
        await catalog.pinSegments(tx, pipeline, retrieval, names);
        return { found, head: await catalog.journalHead(tx, pipeline) };
      },
      async (chunks) => await spool.write(chunks),
    );
    if (first !== null) {
      await requireSameHistory(environment, first.head);
      requireCompared(source, first.found);
      return { segments: first.found, ...(await unite(first.found)) };
    }
    spool.reset();
  }
}
