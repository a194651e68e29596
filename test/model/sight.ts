/** Where all rows are at one instant, by two witnesses: the catalog, and the journal with what is decided besides. */
import { strict as assert } from "node:assert";
import type pg from "pg";
import type { MemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { ArchiveReading, Decided, Event } from "./archive-reading.ts";
import type { Lane } from "./lane.ts";
import { Bag, lineOf, type Row, rowOf } from "./rows.ts";
import { TABLE } from "./terms.ts";

export interface Sight {
  /** Rows of the table, oldest first. */
  readonly hot: readonly Row[];
  /** Rows of leaves that are no part of the table any more. */
  readonly detached: readonly Row[];
  readonly archived: readonly Row[];
  /** All of them, as the catalog and as the journal say. */
  readonly byCatalog: Bag;
  readonly byJournal: Bag;
  readonly events: readonly Event[];
  /** Rows in quarantined chunks. */
  readonly quarantined: number;
  /** Rows that delete-only rules took, by the journal. */
  readonly deleted: number;
  /** Keys that the journal says were gone when their chunk was exported anew. */
  readonly tombstones: readonly number[];
  /** Whether a run has made the pipeline's row. */
  readonly isRegistered: boolean;
}

interface CatalogRow {
  readonly hot: readonly Row[];
  readonly detached: readonly Row[];
  readonly outbox: readonly Decided[];
  readonly segments: readonly { segment: string; chunks: { chunk: number; state: string; rows: number }[] }[];
  readonly head: string | null;
  readonly quarantined: number;
}

/** One statement, hence one snapshot. A wholly pruned segment may have no chunks in the catalog any more. */
const snapshot = (detached: readonly string[]): string => `
  SELECT (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.ts, t.id), '[]') FROM ${TABLE} t) AS hot,
    (SELECT coalesce(jsonb_agg(line), '[]') FROM (${detached
      .map((leaf) => `SELECT to_jsonb(t) AS line FROM ONLY ${leaf} t UNION ALL `)
      .join("")} SELECT NULL::jsonb AS line WHERE false) leaves) AS detached,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('entryId', entry_id, 'event', event) ORDER BY id), '[]')
       FROM firnline.outbox) AS outbox,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('segment', segment, 'chunks', (
         SELECT coalesce(jsonb_agg(jsonb_build_object('chunk', chunk, 'state', c.state)), '[]')
         FROM firnline.chunk c WHERE c.segment = s.segment))), '[]')
       FROM firnline.segment s WHERE s.state IN ('pruning', 'warm', 'cooling', 'cold')) AS segments,
    (SELECT journal_sha256 FROM firnline.pipeline) AS head,
    (SELECT coalesce(sum(rows), 0)::int FROM firnline.chunk WHERE state = 'quarantined') AS quarantined`;

export async function look(lane: Lane, archive: MemoryArchive, reading: ArchiveReading): Promise<Sight> {
  const { rows } = await lane.onlooker.query<CatalogRow>(snapshot(await detachedLeaves(lane.onlooker)));
  const { hot, detached, outbox, segments, head, quarantined } = rows[0] as CatalogRow;
  reading.look(archive.snapshot());
  assert(head === null || reading.isFollowed(head, outbox), "I5: the catalog follows the journal");
  const events = reading.events(outbox);
  const pruned = await reading.prunedBy(events);
  const inCatalog = segments.map(({ segment, chunks }) => ({
    segment,
    chunks:
      chunks.length === 0 ? null : chunks.filter(({ state }) => state === "pruned").map(({ chunk }) => chunk),
  }));
  const archived = reading.lines(inCatalog);
  const lines = [...hot, ...detached].map(lineOf);
  return {
    hot,
    detached,
    archived: archived.sort(byTime).map(rowOf),
    byCatalog: new Bag([...lines, ...archived]),
    byJournal: new Bag([...lines, ...reading.lines(pruned)]),
    events,
    quarantined,
    deleted: events.reduce((sum, { type, rows: count }) => sum + (type === "deleted" ? Number(count) : 0), 0),
    tombstones: events
      .filter(({ type }) => type === "tombstoned")
      .flatMap(({ keys }) => (keys as string[][]).map(([key]) => Number(key))),
    isRegistered: head !== null,
  };
}

/** Tables beside the application's own: leaves that were detached, or are about to be. */
export async function detachedLeaves(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ leaf: string }>(
    `SELECT c.oid::regclass::text AS leaf FROM pg_class c LEFT JOIN pg_inherits ON inhrelid = c.oid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.oid <> '${TABLE}'::regclass
       AND (inhrelid IS NULL OR inhdetachpending)`,
  );
  return rows.map(({ leaf }) => leaf);
}

const timeAndKey = (line: string): string => {
  const { ts, id } = rowOf(line);
  return `${String(ts)} ${String(id).padStart(8, "0")}`;
};

function byTime(left: string, right: string): number {
  return timeAndKey(left) < timeAndKey(right) ? -1 : 1;
}
