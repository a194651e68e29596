/** What `verify`, `catalog rebuild`, `adopt` and `collect` tell, for people and for machines. */
import type { Amount, CollectResult } from "../repair/collect.ts";
import type { RebuildResult } from "../repair/rebuild.ts";
import type { VerifyResult } from "../repair/verify.ts";
import { SEGMENT_STATES } from "../segment/state.ts";
import { formatBytes, formatCount, plural } from "./format.ts";

export interface Asked {
  readonly isDeep: boolean;
  /** Segments that were to be picked, and the seed that picks them again; null for all or none. */
  readonly sample: { readonly count: number; readonly seed: number } | null;
}

export function verifyText(pipeline: string, result: VerifyResult, { isDeep, sample }: Asked): string[] {
  const { journal, segments, deep, rows, bytes, unverified, superseded, rowsUnknown, pending, findings } =
    result;
  const { expired } = result;
  if (journal.n === 0n && findings === 0)
    return [`${pipeline}: it has never run, so there is nothing to verify`];
  const kept = [
    expired > 0 ? `${plural(expired, "segment")} that expired, by the journal` : "",
    superseded > 0 ? `${plural(superseded, "superseded segment")} for \`firnline collect\`` : "",
    rowsUnknown > 0n ? `${plural(rowsUnknown, "row")} that the next run looks for` : "",
    pending > 0 ? `${plural(pending, "decision")} that the next run journals` : "",
  ].filter((part) => part !== "");
  return [
    `${pipeline}: ${findings === 0 ? "nothing is wrong" : plural(findings, "finding")}; ` +
      `${formatCount(journal.n)} ${journal.n === 1n ? "entry" : "entries"} in the journal, ${plural(segments, "segment")}`,
    ...(isDeep || sample !== null
      ? [
          `  every value of ${plural(deep, "segment")} was read and hashed: ${plural(rows, "row")}, ${formatBytes(bytes)}`,
        ]
      : [`  manifests were hashed and objects looked for; --deep reads and hashes every value`]),
    ...(sample === null ? [] : [`  the same segments again: --sample ${sample.count} --seed ${sample.seed}`]),
    ...(unverified > 0
      ? [
          `  unverified: ${plural(unverified, "cold segment")} can't be read before a restore, which says nothing against them`,
        ]
      : []),
    ...(kept.length === 0 ? [] : [`  besides: ${kept.join(", ")}`]),
    `  head ${journal.sha256} of entry ${journal.n}; note it elsewhere, and nothing before it can be changed unseen`,
  ];
}

export function rebuildText(pipeline: string, result: RebuildResult): string[] {
  const { journal, segments, rowsUnknown, pending, adoptedFrom } = result;
  const counts = SEGMENT_STATES.flatMap((state) => {
    const count = segments[state];
    return count === undefined ? [] : [`${formatCount(count)} ${state}`];
  });
  const adopted =
    adoptedFrom === null
      ? `the catalog is what the archive says, up to entry ${journal.n}`
      : `the archive belongs to this database now, from entry ${journal.n} on; the one before stops with E_OWNER`;
  return [
    `${pipeline}: ${adopted}`,
    `  segments: ${counts.length === 0 ? "none" : counts.join(", ")}`,
    ...(rowsUnknown > 0n
      ? [
          `  ${plural(rowsUnknown, "row")} may be in the table, in the archive or in both: the next run finds out, and until` +
            " then `firnline retrieve` reads both",
        ]
      : []),
    ...(pending > 0
      ? [`  ${plural(pending, "decision")} of this database alone will be journaled by the next run`]
      : []),
  ];
}

export function collectText(
  pipeline: string,
  result: CollectResult & { spools: number },
  isDryRun: boolean,
): string[] {
  const { removed, waiting, pinned, kept, uploads, foreign, lostRetrievals, spools } = result;
  const amount = ({ objects, bytes }: Amount): string =>
    `${plural(objects, "object")}, ${formatBytes(bytes)}`;
  const verb = isDryRun ? "would remove" : "removed";
  return [
    `${pipeline}: ${removed.objects === 0 ? "nothing to remove" : `${verb} ${amount(removed)}`}`,
    ...(waiting.objects > 0
      ? [`  not for long enough: ${amount(waiting)}; they go after the recovery window`]
      : []),
    ...(pinned.objects > 0 ? [`  read by a retrieval: ${amount(pinned)}`] : []),
    ...(kept.objects > 0 ? [`  under a hold or a lock: ${amount(kept)}`] : []),
    ...(uploads.objects > 0 ? [`  left by killed uploads: ${verb} ${amount(uploads)}`] : []),
    ...(spools > 0 ? [`  left by killed retrievals: ${verb} ${plural(spools, "spool")}`] : []),
    ...(lostRetrievals > 0
      ? [`  ${plural(lostRetrievals, "retrieval")} never ended, and what they read is pinned no longer`]
      : []),
    ...(foreign > 0 ? [`  not of Firnline's making, and left alone: ${plural(foreign, "object")}`] : []),
  ];
}
