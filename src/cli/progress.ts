/** Progress as one line: what was done since the start, stage by stage, and what is under way. */
import type { Progress } from "../environment.ts";
import { formatCount, formatMinute } from "./format.ts";

type Stage = Progress["stage"];

/** In the order of a row's way. */
const DONE: Readonly<Partial<Record<Stage, string>>> = {
  export: "exported",
  seal: "verified",
  prune: "pruned",
  pack: "packed",
  transition: "cooled",
  delete: "deleted",
  reconcile: "compared",
};

export class ProgressLine {
  readonly #rows = new Map<Stage, bigint>();
  /** What a stage said last: counts are running totals of one subject. */
  readonly #last = new Map<Stage, { readonly subject: string; readonly rows: bigint }>();

  add(progress: Progress): string {
    const { stage, subject, rows } = progress;
    // Segments, not rows: those whose columns are known, and those that can be read already.
    if (stage === "columns") return `looking at columns: ${formatCount(rows)} of ${subject}`;
    if (stage === "restore") {
      const at = progress.nextAt ?? null;
      const next = at === null ? "" : `, the next at ${formatMinute(at)}`;
      return `restoring: ${formatCount(rows)} of ${subject} are readable${next}`;
    }
    if (stage === "journal") return `reading the journal: entry ${formatCount(rows)}`;
    if (stage === "manifests") return `reading manifests: ${formatCount(rows)} of ${subject}`;
    if (stage === "verify") return `verifying: ${formatCount(rows)} of ${subject}`;
    if (stage === "collect") return `looking through the archive: ${formatCount(rows)} objects`;
    if (stage === "read") return `reading: ${formatCount(rows)} rows`;
    const last = this.#last.get(stage);
    const before = last?.subject === subject && last.rows <= rows ? last.rows : 0n;
    this.#last.set(stage, { subject, rows });
    this.#rows.set(stage, this.rowsOf(stage) + rows - before);
    const totals = (Object.keys(DONE) as Stage[]).flatMap((one) =>
      this.#rows.has(one) ? [`${DONE[one]} ${formatCount(this.rowsOf(one))}`] : [],
    );
    return `${totals.join(", ")} rows`;
  }

  /** Rows that a stage has been through since the start. */
  rowsOf(stage: Stage): bigint {
    return this.#rows.get(stage) ?? 0n;
  }
}
