/** How segments and their chunks move from state to state, as `segment/state.ts` allows. */
import { invariant } from "../../errors.ts";
import type { ChunksOf } from "../../segment/journal.ts";
import {
  type ChunkState,
  nextSegmentState,
  OPEN_CHUNKS,
  type SegmentEvent,
  statesBefore,
} from "../../segment/state.ts";
import type { Transaction } from "../../postgres/database.ts";

/** Moves a segment by an event of its state table; anything but exactly one row is a broken invariant. */
export async function moveSegment(
  tx: Transaction,
  pipeline: string,
  segment: string,
  event: SegmentEvent,
  columns: Readonly<Record<string, unknown>>,
): Promise<void> {
  const from = statesBefore(event);
  const to = nextSegmentState(from[0] as (typeof from)[number], event, segment);
  const names = Object.keys(columns);
  const assignments = names.map((name, index) => `, ${name} = $${index + 5}`).join("");
  const { rowCount } = await tx.query(
    `UPDATE firnline.segment SET state = $3${assignments}
     WHERE pipeline = $1 AND segment = $2 AND state = ANY($4)`,
    [pipeline, segment, to, from, ...names.map((name) => columns[name])],
    `segment ${event}`,
  );
  invariant(rowCount === 1, `segment ${segment}`, `it is not in a state (${from.join(", ")}) for ${event}`);
}

/** Anything but exactly these chunks in these states is a broken invariant: a pruned chunk is never given up (I2). */
export async function moveChunks(
  tx: Transaction,
  pipeline: string,
  { segment, chunks }: ChunksOf,
  from: readonly ChunkState[],
  to: ChunkState,
): Promise<void> {
  const { rowCount } = await tx.query(
    `UPDATE firnline.chunk SET state = $4
     WHERE pipeline = $1 AND segment = $2 AND chunk = ANY($3) AND state = ANY($5)`,
    [pipeline, segment, chunks, to, from],
    `chunks ${to}`,
  );
  invariant(
    rowCount === chunks.length,
    `segment ${segment}`,
    `${rowCount} of ${chunks.length} chunks are ${from.join(" or ")} and can become ${to}`,
  );
}

/**
 * A segment with no chunk left in the table is wholly pruned, or wholly superseded. Its chunks go from the catalog,
 * unless some are superseded and others not: then readers have to know which.
 */
export async function settleSegment(tx: Transaction, pipeline: string, segment: string): Promise<void> {
  const { rows } = await tx.query(
    `SELECT count(*) FILTER (WHERE c.state = ANY($3))::int AS open,
            count(*) FILTER (WHERE c.state = 'pruned')::int AS pruned,
            count(*) FILTER (WHERE c.state = 'superseded')::int AS superseded,
            (SELECT state FROM firnline.segment s WHERE s.pipeline = $1 AND s.segment = $2) AS state
     FROM firnline.chunk c WHERE c.pipeline = $1 AND c.segment = $2`,
    [pipeline, segment, OPEN_CHUNKS],
    "settle",
  );
  const { open, pruned, superseded, state } = rows[0] as {
    open: number;
    pruned: number;
    superseded: number;
    state: string;
  };
  if (open > 0) return;
  if (pruned === 0) await moveSegment(tx, pipeline, segment, "wholly-superseded", {});
  else if (state !== "warm") await moveSegment(tx, pipeline, segment, "wholly-pruned", {});
  if (pruned > 0 && superseded > 0) return;
  await tx.query("DELETE FROM firnline.chunk WHERE pipeline = $1 AND segment = $2", [pipeline, segment]);
}
