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
  /** Of the manifest: the object as it was sealed. The rest is read when it is needed (I10). */
  readonly sealed: Pick<Manifest, "object">;
  /** Its chunks that are sealed and not pruned. */
  readonly chunks: readonly { readonly chunk: number; readonly rows: number }[];
  readonly rows: bigint;
}

export interface OpenPartition {
  readonly rule: string;
  readonly day: DayUtc;
  readonly rows: bigint;
  /** In the order of their export: its open chunks are of one export, and their rows follow each other. */
  readonly segments: readonly OpenSegment[];
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
  const unlike: OpenSegment[] = [];
  for (const record of await detaching.openSegments(pipeline, leaf.oid)) {
    const states = await catalog.chunks(pipeline, record.segment);
    const isSettled = states.every(({ state }) => ["sealed", "pruned", "superseded"].includes(state));
    if (!isSettled || record.state === "uploaded") throw unsettled(leaf, record);
    const chunks = states.filter(({ state }) => state === "sealed");
    if (chunks.length === 0) continue;
    const manifest = await readManifest({ ...context, pipeline }, record);
    const segment = {
      record,
      sealed: { object: manifest.object },
      chunks: chunks.map(({ chunk, rows }) => ({ chunk, rows })),
      rows: chunks.reduce((sum, { rows }) => sum + BigInt(rows), 0n),
    };
    segments.push(segment);
    const rule = source.rules.find(({ name }) => name === record.rule);
    if (manifest.fingerprint !== fingerprint || rule?.predicate !== manifest.predicate) unlike.push(segment);
  }
  return { fingerprint, segments, partitions: partitionsOf(segments), unlike: partitionsOf(unlike) };
}

function partitionsOf(all: readonly OpenSegment[]): OpenPartition[] {
  const groups = Map.groupBy(all, ({ record }) => `${record.rule} ${record.dayFrom}`);
  return [...groups.values()].map((segments) => {
    const { rule, dayFrom: day } = (segments[0] as OpenSegment).record;
    return { rule, day, segments, rows: segments.reduce((sum, { rows }) => sum + rows, 0n) };
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
