/**
 * The evidence of an answer: what it was made of, so that somebody who trusts nobody can check it. Every archived chunk
 * that was used hashed to its manifest; the manifest hashes to what is named here; and the journal names the manifest. A
 * chunk that cannot have a row of the answer may have been left out: by its manifest, by its object's index, whose hash
 * the manifest has, or by its own columns, which hashed to the manifest.
 */
import { objectLocator, manifestLocator } from "../archive/locators.ts";
import type { PipelineRecord, ReadableSegment, SegmentRecord } from "../catalog/port.ts";
import type { AnswerFormat } from "./formats/answer-format.ts";
import { type RemovedDays, removedDaysJson } from "./removed-days.ts";
import { canonicalJson, type Json } from "../segment/canonical-json.ts";

export const EVIDENCE_FORMAT = 1;

export interface EvidenceInput {
  readonly pipeline: PipelineRecord;
  readonly retrieval: string;
  readonly requestedBy: string;
  readonly at: string;
  readonly writer: string;
  readonly range: { readonly time: string; readonly from: string; readonly to: string };
  readonly where: readonly { readonly column: string; readonly value: string }[];
  readonly answer: {
    readonly format: AnswerFormat;
    readonly rows: bigint;
    readonly bytes: bigint;
    readonly sha256: string;
  };
  readonly rowsFrom: { readonly hot: bigint; readonly warm: bigint; readonly cold: bigint };
  readonly segments: readonly ReadableSegment[];
  /** SHA-256 of a segment's object, as its manifest says. */
  readonly objectHash: (record: SegmentRecord) => string;
  readonly removed: RemovedDays;
}

/** RFC 8785 JSON with a final line feed. */
export function evidenceText(input: EvidenceInput): string {
  const { answer, pipeline, range, rowsFrom } = input;
  const evidence: Json = {
    format: EVIDENCE_FORMAT,
    archiveId: pipeline.archiveId,
    archive: pipeline.archiveUrl,
    pipeline: pipeline.pipeline,
    retrieval: input.retrieval,
    requestedBy: input.requestedBy,
    at: input.at,
    writer: input.writer,
    range: { ...range },
    where: input.where.map(({ column, value }) => ({ column, value })),
    answer: {
      format: answer.format,
      rows: `${answer.rows}`,
      bytes: `${answer.bytes}`,
      sha256: answer.sha256,
    },
    rowsFrom: { hot: `${rowsFrom.hot}`, warm: `${rowsFrom.warm}`, cold: `${rowsFrom.cold}` },
    ...removedDaysJson(input.removed),
    journal: { n: `${pipeline.journal.n}`, sha256: pipeline.journal.sha256 },
    segments: input.segments.map(({ record, prunedChunks }) => ({
      segment: record.segment,
      rows: `${record.rows}`,
      object: { key: objectLocator(pipeline.pipeline, record).key, sha256: input.objectHash(record) },
      manifest: {
        key: manifestLocator(pipeline.pipeline, record).key,
        sha256: record.manifest?.sha256 ?? "",
      },
      // Null: all of them. The rows of the others were still in the table.
      chunks: prunedChunks === null ? null : [...prunedChunks],
    })),
  };
  return `${canonicalJson(evidence)}\n`;
}
