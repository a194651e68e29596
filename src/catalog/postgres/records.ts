/** Rows of the control schema as records, and the SELECT lists that they need. */
import { type DayUtc, type EpochMicros, type EpochMs, parseDay } from "../../rows/day.ts";
import { toHex } from "../../rows/hex.ts";
import type { LeafName, PartitionKey } from "../../segment/partition-key.ts";
import type { SourceIdentity } from "../../segment/journal.ts";
import { type ChunkState, OPEN_CHUNKS, type SegmentState } from "../../segment/state.ts";
import type {
  ChunkRecord,
  LeaseHolder,
  PipelineRecord,
  RunRecord,
  RunState,
  SegmentRecord,
  TierTotals,
} from "../port.ts";
import type { SegmentLock } from "../segment-lock.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- rows come untyped from the driver; each function below names the columns it reads
export type Row = Record<string, any>;

/** Milliseconds since 1970 of a timestamptz column, as SQL. */
export const epochMs = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint::text`;

export const PIPELINE_COLUMNS = `pipeline, archive_id::text, archive_url, source, policy, lease_run, lease_holder,
  lease_epoch::text, journal_n::text, journal_sha256`;

export function pipelineRecord(row: Row): PipelineRecord {
  return {
    pipeline: row["pipeline"] as string,
    archiveId: row["archive_id"] as string,
    archiveUrl: row["archive_url"] as string,
    source: row["source"] as SourceIdentity,
    policy: row["policy"] as Record<string, unknown> | null,
    journal: { n: BigInt(row["journal_n"]), sha256: row["journal_sha256"] as string },
    lease: {
      epoch: BigInt(row["lease_epoch"]),
      run: row["lease_run"] as string | null,
      holder: row["lease_holder"] as LeaseHolder | null,
    },
  };
}

export const SEGMENT_COLUMNS = `s.segment, s.state, s.rule, s.day_from::text, s.day_to::text, s.rows::text, s.bytes::text,
  s.storage_class, s.version_id, s.manifest_sha256, s.manifest_bytes::text, s.manifest_version_id,
  s.leaf_oid, s.leaf_schema, s.leaf_name, s.replaces, s.shape, ${epochMs("s.tagged_at")} AS tagged_at,
  (extract(epoch FROM s.archived_as_of) * 1000000)::bigint::text AS archived_as_of,
  s.lock_mode, ${epochMs("s.locked_until")} AS locked_until, s.legal_hold,
  (SELECT jsonb_object_agg(c.state, c.rows) FROM (
     SELECT state, sum(rows)::text AS rows FROM firnline.chunk
     WHERE pipeline = s.pipeline AND segment = s.segment GROUP BY state) c) AS rows_by_state`;

function leafName(row: Row): LeafName | null {
  if (row["leaf_oid"] === null) return null;
  const [oid, schema, name] = [row["leaf_oid"], row["leaf_schema"], row["leaf_name"]].map(String);
  return { oid: oid as string, schema: schema as string, name: name as string };
}

export function partitionKey(row: Row): PartitionKey {
  return { leaf: leafName(row), rule: row["rule"] as string, day: parseDay(row["day"] as string) };
}

export function segmentRecord(row: Row): SegmentRecord {
  const bytes = BigInt(row["bytes"]);
  const manifestSha256 = row["manifest_sha256"] as Uint8Array | null;
  const shape = row["shape"] as Uint8Array | null;
  const byState = (row["rows_by_state"] ?? {}) as Readonly<Partial<Record<ChunkState, string>>>;
  const rowsOf = (states: readonly ChunkState[]): bigint =>
    states.reduce((sum, state) => sum + BigInt(byState[state] ?? 0), 0n);
  return {
    segment: row["segment"] as string,
    state: row["state"] as SegmentState,
    leaf: leafName(row),
    replaces: row["replaces"] as boolean,
    rule: row["rule"] as string,
    dayFrom: parseDay(row["day_from"] as string),
    dayTo: parseDay(row["day_to"] as string),
    rows: BigInt(row["rows"]),
    storageClass: row["storage_class"] as string,
    // No object is empty: Parquet has magic bytes at least.
    object: bytes === 0n ? null : { versionId: row["version_id"] as string | null, bytes },
    manifest:
      manifestSha256 === null
        ? null
        : {
            versionId: row["manifest_version_id"] as string | null,
            sha256: toHex(manifestSha256),
            bytes: BigInt(row["manifest_bytes"]),
          },
    rowsUnpruned: rowsOf(OPEN_CHUNKS),
    rowsQuarantined: rowsOf(["quarantined"]),
    rowsUnknown: rowsOf(["unknown"]),
    rowsSuperseded: rowsOf(["superseded"]),
    archivedAsOf: row["archived_as_of"] === null ? null : (BigInt(row["archived_as_of"]) as EpochMicros),
    lock:
      row["lock_mode"] === null
        ? null
        : {
            mode: row["lock_mode"] as SegmentLock["mode"],
            until: Number(row["locked_until"]) as EpochMs,
          },
    isHeld: row["legal_hold"] as boolean | null,
    taggedAt: row["tagged_at"] === null ? null : (Number(row["tagged_at"]) as EpochMs),
    shape: shape === null ? null : toHex(shape),
  };
}

export function chunkRecord(row: Row): ChunkRecord {
  return {
    chunk: row["chunk"] as number,
    state: row["state"] as ChunkState,
    rows: row["rows"] as number,
    wasPruned: row["was_pruned"] as boolean,
  };
}

export function tierTotals(row: Row): TierTotals {
  const day = (text: string | null): DayUtc | null => (text === null ? null : parseDay(text));
  return {
    state: row["state"] as SegmentState,
    storageClass: row["storage_class"] as string,
    isSmall: row["is_small"] as boolean,
    segments: Number(row["segments"]),
    rows: BigInt(row["rows"]),
    rowsPruned: BigInt(row["rows_pruned"]),
    bytes: BigInt(row["bytes"]),
    oldest: day(row["oldest"] as string | null),
    newest: day(row["newest"] as string | null),
  };
}

export function runRecord(row: Row): RunRecord {
  return {
    run: row["run"] as string,
    state: row["state"] as RunState,
    asOf: BigInt(row["as_of"]) as EpochMicros,
    startedAt: Number(row["started_at"]) as EpochMs,
    finishedAt: row["finished_at"] === null ? null : (Number(row["finished_at"]) as EpochMs),
    summary: row["summary"] as Record<string, unknown> | null,
    error: row["error"] as string | null,
  };
}
