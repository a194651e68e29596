/** What of a leaf is archived and still in it: the segments, and their chunks in the order of the leaf's rows. */
import { readManifest } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import type { Leaf } from "../hot/port.ts";
import type { DayUtc } from "../rows/day.ts";
import type { Manifest } from "../segment/manifest.ts";
import type { StageContext } from "./context.ts";

export interface OpenSegment {
  readonly record: SegmentRecord;
  readonly manifest: Manifest;
  /** Numbers of its chunks that are sealed and not pruned. */
  readonly chunks: readonly number[];
  readonly rows: bigint;
}

export interface OpenPartition {
  readonly rule: string;
  readonly day: DayUtc;
  readonly rows: bigint;
  readonly chunks: readonly {
    readonly record: SegmentRecord;
    readonly manifest: Manifest;
    readonly chunk: number;
    readonly rows: number;
  }[];
}

export interface OpenLeaf {
  /** Of the leaf now, and of all of these segments unless they are `unlike`. */
  readonly fingerprint: string;
  readonly segments: readonly OpenSegment[];
  readonly partitions: readonly OpenPartition[];
  /** Partitions that were exported under another definition of the table, or another policy: their rows are cut otherwise. */
  readonly unlike: readonly { readonly rule: string; readonly day: DayUtc }[];
}

/** Throws `E_DETACH` where rows of the leaf are quarantined, or archived and not verified yet. */
export async function readOpenLeaf<Tx>(context: StageContext<Tx>, leaf: Leaf): Promise<OpenLeaf> {
  const { catalog, detaching, hot, policy, source } = context;
  const { pipeline } = policy;
  const fingerprint = await hot.fingerprint(leaf);
  const segments: OpenSegment[] = [];
  // By day, then in the order of their export: a partition's open chunks are of one export.
  for (const record of await detaching.openSegments(pipeline, leaf.oid)) {
    const states = await catalog.chunks(pipeline, record.segment);
    const isSettled = states.every(({ state }) => ["sealed", "pruned", "superseded"].includes(state));
    if (!isSettled || record.state === "uploaded") throw unsettled(leaf, record);
    const sealed = states.filter(({ state }) => state === "sealed");
    if (sealed.length === 0) continue;
    segments.push({
      record,
      manifest: await readManifest({ ...context, pipeline }, record),
      chunks: sealed.map(({ chunk }) => chunk),
      rows: sealed.reduce((sum, { rows }) => sum + BigInt(rows), 0n),
    });
  }
  const isUnlike = ({ record, manifest }: OpenSegment): boolean => {
    const rule = source.rules.find(({ name }) => name === record.rule);
    return manifest.fingerprint !== fingerprint || rule?.predicate !== manifest.predicate;
  };
  return {
    fingerprint,
    segments,
    partitions: partitionsOf(segments),
    unlike: partitionsOf(segments.filter(isUnlike)),
  };
}

function partitionsOf(segments: readonly OpenSegment[]): OpenPartition[] {
  const groups = Map.groupBy(segments, ({ record }) => `${record.rule} ${record.dayFrom}`);
  return [...groups.values()].map((parts) => {
    const { rule, dayFrom } = (parts[0] as OpenSegment).record;
    const chunks = parts.flatMap(({ record, manifest, chunks: numbers }) =>
      numbers.map((chunk) => ({ record, manifest, chunk, rows: manifest.chunks[chunk]?.rows ?? 0 })),
    );
    return { rule, day: dayFrom, rows: parts.reduce((sum, { rows }) => sum + rows, 0n), chunks };
  });
}

function unsettled({ schema, name }: Leaf, { segment, state }: SegmentRecord): FirnlineError {
  return new FirnlineError({
    code: "E_DETACH",
    subject: `${schema}.${name}`,
    problem: `segment ${segment} of it is ${state === "uploaded" ? "not verified yet" : "not settled yet"}`,
    hint: "It goes with a later run, once all of its rows are archived",
  });
}
