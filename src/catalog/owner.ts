/** Whether this database, this table and this policy are those that the archive belongs to. */
import { FirnlineError } from "../errors.ts";
import { policyFromJson } from "../policy/journaled.ts";
import type { Policy } from "../policy/policy.ts";
import type { SourceIdentity } from "../segment/journal.ts";
import type { PipelineRecord } from "./port.ts";

/** Throws `E_OWNER` for another database, another table under the name, or another archive (hazard 4). */
export function requireOwner(record: PipelineRecord, found: SourceIdentity, archiveUrl: string): void {
  const owned = record.source;
  const fail = (problem: string): FirnlineError =>
    new FirnlineError({
      code: "E_OWNER",
      subject: `pipeline ${record.pipeline}`,
      problem,
      hint: "Nothing was written. If this database is meant to go on in the place of the other, use `firnline adopt`",
    });
  for (const part of ["systemIdentifier", "databaseOid", "tableOid"] as const) {
    if (owned[part] === found[part]) continue;
    throw fail(`its archive belongs to another source (${part} ${owned[part]}, this is ${found[part]})`);
  }
  if (record.archiveUrl !== archiveUrl) {
    throw fail(`its archive is ${record.archiveUrl}, the policy names ${archiveUrl}`);
  }
}

/**
 * Throws `E_POLICY` when the policy reads the table otherwise than the last applied one: its days would be other days,
 * and a range would be answered from the wrong segments (I8).
 */
export function requireSameReading(record: PipelineRecord, policy: Policy): void {
  if (record.policy === null) return;
  const applied = policyFromJson(record.policy, `journaled policy of ${record.pipeline}`);
  for (const field of ["table", "time", "zone", "key"] as const) {
    const [before, now] = [applied.source[field], policy.source[field]].map((value) => JSON.stringify(value));
    if (before === now) continue;
    throw new FirnlineError({
      code: "E_POLICY",
      subject: `pipeline ${record.pipeline}, source.${field}`,
      problem: `the archive was made with ${before}, the policy says ${now}`,
      hint: "Put the policy back to retrieve what is archived",
    });
  }
}
