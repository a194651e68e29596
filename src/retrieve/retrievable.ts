/** Whether this database, its catalog and this policy can answer for the pipeline's archive. */
import { requireOwner, requireSameReading } from "../catalog/owner.ts";
import type { PipelineRecord, ReadableSegment } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";

/** Throws `E_CATALOG` before the first run, `E_OWNER` or `E_POLICY` where an answer would not be of this pipeline. */
export async function requireRetrievable<Tx>(
  environment: Environment<Tx>,
): Promise<{ source: SourceTable; pipeline: PipelineRecord }> {
  const { archive, catalog, hot, policy } = environment;
  const source = await hot.describe("read");
  const pipeline = await catalog.pipeline(policy.pipeline);
  if (pipeline === null) throw neverRun(policy.pipeline);
  requireOwner(pipeline, source.identity, archive.url);
  requireSameReading(pipeline, policy);
  return { source, pipeline };
}

/**
 * Without a key a row that is in both tiers cannot be told from two that look alike. Throws `E_CATALOG` while nobody knows
 * whether rows are: after a rebuild, until a run has looked.
 */
export function requireCompared(source: SourceTable, segments: readonly ReadableSegment[]): void {
  if (source.keyColumns.length > 0) return;
  for (const { record } of segments) {
    const leaf = source.leaves.find(({ oid }) => oid === record.leaf?.oid);
    if (record.rowsUnknown === 0n || leaf === undefined) continue;
    throw new FirnlineError({
      code: "E_CATALOG",
      subject: `segment ${record.segment}`,
      problem: `nobody has compared it with ${leaf.schema}.${leaf.name} since the catalog was rebuilt, and without a key its rows might be given twice`,
      hint: "Run `firnline run` first, which compares them",
    });
  }
}

function neverRun(pipeline: string): FirnlineError {
  return new FirnlineError({
    code: "E_CATALOG",
    subject: `pipeline ${pipeline}`,
    problem: "it has never run here, so nothing says what its archive holds",
    hint: "Run `firnline run` first, or connect to the database that it runs on",
  });
}
