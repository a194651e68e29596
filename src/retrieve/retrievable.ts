/** Whether this database and this policy can answer for the pipeline's archive. */
import { requireOwner, requireSameReading } from "../catalog/owner.ts";
import type { PipelineRecord } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";

/** Throws `E_CATALOG` before the first run, `E_OWNER` or `E_POLICY` where an answer would not be of this pipeline. */
export async function requireRetrievable<Tx>(
  environment: Environment<Tx>,
): Promise<{ source: SourceTable; pipeline: PipelineRecord }> {
  const { archive, catalog, hot, policy } = environment;
  const source = await hot.describe();
  const pipeline = await catalog.pipeline(policy.pipeline);
  if (pipeline === null) throw neverRun(policy.pipeline);
  requireOwner(pipeline, source.identity, archive.url);
  requireSameReading(pipeline, policy);
  return { source, pipeline };
}

function neverRun(pipeline: string): FirnlineError {
  return new FirnlineError({
    code: "E_CATALOG",
    subject: `pipeline ${pipeline}`,
    problem: "it has never run here, so nothing says what its archive holds",
    hint: "Run `firnline run` first, or connect to the database that it runs on",
  });
}
