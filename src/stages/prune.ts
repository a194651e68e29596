/**
 * prune: deletes the rows of a sealed segment, a batch of chunks a transaction. The DELETE hands back the rows that it
 * removes; their digests must be the manifest's, or the transaction rolls back (I1). The catalog's chunk rows change in
 * the same transaction (I4).
 *
 * Commit point: the transaction's COMMIT. A lost reply is no question: the chunk rows, locked by the next attempt, tell
 * whether it happened.
 */
import { readManifest } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import type { ChunkDelete, Leaf, PruneOutcome } from "../hot/port.ts";
import type { LeafName } from "../segment/partition-key.ts";
import { formatDay } from "../rows/day.ts";
import { chunkDigests } from "../segment/digest.ts";
import { growthKey } from "../segment/journal.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { type PruneVerdict, pruneVerdict } from "../segment/prune-guard.ts";
import { objectLocator } from "../archive/locators.ts";
import { checkpoint, timestamp } from "../environment.ts";
import { ChunkBatches } from "./chunk-batches.ts";
import { findLeaf, type StageContext } from "./context.ts";
import { differs, hashObject } from "../archive/read-object.ts";
import { protectSegment, requireLock } from "./lock.ts";
import { Gate } from "./overlap.ts";
import { withRetries } from "./retry.ts";

export interface Drift {
  readonly segment: string;
  readonly leaf: LeafName | null;
  readonly rule: string;
  readonly day: string;
  /** Chunk number, or null when the whole segment cannot be compared. */
  readonly chunk: number | null;
  readonly reason: string;
}

export interface PruneResult {
  readonly rows: bigint;
  /** Chunks whose rows are not what was archived; they stay hot. */
  readonly drift: readonly Drift[];
}

/** Rows that may have come into a chunk since its export before they are no longer counted one by one. */
const LATE_ROWS_MAX = 1_000;
/** More than any chunk may have (64 MiB and its last row); one that grew past it is drift anyway (I10). */
const CHUNK_BYTES_MAX = 80 * 1024 * 1024;

/**
 * Deleting transactions at once: one backend deletes and commits by turns, so that what is behind the deletes of one (a look
 * at the object, the chunks' states, the COMMIT) is beside those of another.
 */
const LANES_MAX = 2;

/** How many segments may be pruned, and how many deleting transactions there may be, at once. */
export const pruneLanes = ({ limits }: Pick<StageContext<unknown>, "limits">): number =>
  Math.min(LANES_MAX, limits.concurrency);

/** `lanes` is shared by all that prune at the same time. */
export async function pruneSegment<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
  lanes = new Gate(pruneLanes(context)),
): Promise<PruneResult> {
  const { catalog, failpoint, hot, journal, policy, source } = context;
  const { pipeline } = policy;
  const leaf = findLeaf(source, record.leaf);
  if (leaf === null) throw leafGone(record);
  const manifest = await readManifest({ ...context, pipeline }, record);
  if (manifest.fingerprint !== (await hot.fingerprint(leaf))) {
    const reason = "the table's definition changed since the export";
    return { rows: 0n, drift: [driftOf(record, null, reason)] };
  }
  if (record.state === "sealed") await journal.append({ type: "prune-started", segment: record.segment });
  failpoint("prune.started");
  const chunks = await catalog.chunks(pipeline, record.segment);
  const todo = chunks.filter(({ state }) => state === "sealed").map(({ chunk }) => chunk);
  await requireContent(context, record, manifest);
  await protectSegment(context, record);
  const result = await journal.whileGrowing(
    growthKey({ type: "pruned", segment: record.segment }),
    async () => await pruneChunks(context, { record, leaf, manifest }, todo, lanes),
  );
  await journal.publish();
  failpoint("prune.published");
  return result;
}

interface Sealed {
  readonly record: SegmentRecord;
  readonly leaf: Leaf;
  readonly manifest: Manifest;
}

async function pruneChunks<Tx>(
  context: StageContext<Tx>,
  sealed: Sealed,
  todo: readonly number[],
  lanes: Gate,
): Promise<PruneResult> {
  const { clock, failpoint, limits, pace, report, signal } = context;
  const { record, manifest } = sealed;
  const batches = new ChunkBatches(todo, limits);
  const drift: Drift[] = [];
  let rows = 0n;
  let hasFailed = false;

  const pruneNext = async (): Promise<boolean> => {
    checkpoint(signal);
    const batch = hasFailed ? null : batches.next();
    if (batch === null) return false;
    let startedMs = 0;
    const { outcome, refusal } = await pace.turn(async () => {
      startedMs = clock.monotonicMs();
      return await pruneBatch(context, sealed, batch);
    });
    if (outcome === "refused") {
      // Nothing was deleted. Alone, a chunk shows whether it is the one that drifted; the others still go.
      if (batch.length > 1) batches.refused(batch);
      else drift.push(driftOf(record, batch[0] as number, refusal));
      return true;
    }
    failpoint("prune.committed");
    rows += batch.reduce((sum, chunk) => sum + BigInt(manifest.chunks[chunk]?.rows ?? 0), 0n);
    report({ stage: "prune", subject: record.segment, rows, bytes: 0n });
    batches.pruned(clock.monotonicMs() - startedMs);
    return true;
  };
  const lane = async (): Promise<void> => {
    try {
      while (await lanes.pass(pruneNext)) {}
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  // A transaction that is under way when the other lane fails is waited for: its rows may go.
  const ended = await Promise.allSettled(Array.from({ length: pruneLanes(context) }, lane));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
  drift.sort((one, other) => Number(one.chunk) - Number(other.chunk));
  return { rows, drift };
}

async function pruneBatch<Tx>(
  context: StageContext<Tx>,
  { record, leaf, manifest }: Sealed,
  batch: readonly number[],
): Promise<{ outcome: PruneOutcome; refusal: string }> {
  const { catalog, clock, failpoint, hot, lease, limits, newHash, signal, source } = context;
  const { fingerprint, predicate } = manifest;
  const chunks = batch.map((chunk) => chunkDelete(manifest.chunks[chunk] as ManifestChunk));
  const rows = batch.reduce((sum, chunk) => sum + BigInt(manifest.chunks[chunk]?.rows ?? 0), 0n);
  let refusal = "many more rows, or much larger ones, came back than were archived";
  const outcome = await withRetries({ clock, attemptsMax: limits.attemptsMax, signal }, async () => {
    await requireObject(context, record, manifest);
    return await hot.prune(
      source,
      { leaf, fingerprint, predicate, chunks },
      {
        before: async (tx) => {
          const states = await catalog.lockChunks(tx, lease, record.segment, batch);
          // Hazard 2: a COMMIT whose reply was lost is seen here, under lock, and not mistaken for drift.
          if (states.every((state) => state === "pruned")) return "done";
          if (states.every((state) => state === "sealed")) return "delete";
          throw new FirnlineError({
            code: "E_CATALOG",
            subject: `segment ${record.segment}`,
            problem: `chunks ${batch.join(", ")} are ${states.join(", ")}, expected sealed`,
            hint: "Nothing was deleted; is another run at work",
          });
        },
        judge: (index, deleted) => {
          const chunk = batch[index] as number;
          const { salts } = manifest.chunks[chunk] as ManifestChunk;
          const digests = chunkDigests(newHash, salts, deleted.columns);
          const verdict: PruneVerdict = pruneVerdict(manifest, chunk, { rows: deleted.rows, digests });
          if (verdict.verdict === "drift") refusal = verdict.reason;
          return verdict.verdict === "proven";
        },
        after: async (tx) => {
          await catalog.chunksPruned(tx, lease, record.segment, batch, rows, timestamp(clock));
          failpoint("prune.deleted");
        },
      },
    );
  });
  return { outcome, refusal };
}

function chunkDelete(chunk: ManifestChunk): ChunkDelete {
  return {
    range: { from: chunk.from, to: chunk.to },
    // Room to count what came in since, so that the report can say it.
    rowsMax: chunk.rows * 2 + LATE_ROWS_MAX,
    bytesMax: CHUNK_BYTES_MAX,
  };
}

/**
 * Where neither a version nor an etag pins the bytes, as on a disk, HEAD would not see a flipped bit, and a segment may
 * have been sealed days ago. So its bytes are hashed once more before the first of its rows go (I1).
 */
export async function requireContent<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
  manifest: Pick<Manifest, "object">,
): Promise<void> {
  const { archive, newHash, policy, signal } = context;
  const { versionId, etag, sha256 } = manifest.object;
  if (versionId !== null || etag !== null) return;
  await requireObject(context, record, manifest);
  const object = objectLocator(policy.pipeline, record);
  const found = await hashObject(archive, newHash, object, signal);
  if (found !== sha256) throw differs(object.key, `its SHA-256 is ${found}, ${sha256} was sealed`);
}

/** Hazard 14: objects have vanished after they were verified. Look again, and at its lock, right before the rows go. */
export async function requireObject<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
  manifest: Pick<Manifest, "object">,
): Promise<void> {
  const object = objectLocator(context.policy.pipeline, record);
  const head = await context.archive.head(object);
  if (head === null) throw differs(object.key, "the sealed object is gone");
  if (head.bytes.toString() !== manifest.object.bytes || head.etag !== manifest.object.etag) {
    throw differs(object.key, "the object is not the one that was sealed");
  }
  await requireLock(context, record, head);
}

export function driftOf(record: SegmentRecord, chunk: number | null, reason: string): Drift {
  const { segment, leaf, rule, dayFrom } = record;
  return { segment, leaf, rule, day: formatDay(dayFrom), chunk, reason };
}

/** A partition that somebody detached or dropped: whether its rows were meant to go is not ours to decide. */
function leafGone({ segment, leaf }: SegmentRecord): FirnlineError {
  return new FirnlineError({
    code: "E_DETACH",
    subject: `segment ${segment}`,
    problem: `its table ${leaf?.schema}.${leaf?.name} is no partition of the source any more, and was not pruned`,
    hint: "Attach it again, and the next run goes on. Nothing was deleted",
  });
}
