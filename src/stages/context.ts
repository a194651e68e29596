/** What every stage works with: the environment, and what belongs to one run. Made once a run, in `run-pipeline.ts`. */
import type { Lease } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import type { SourceTable } from "../hot/port.ts";
import type { Journal } from "./journal.ts";

export interface StageContext<Tx> extends Environment<Tx> {
  readonly source: SourceTable;
  readonly archiveId: string;
  readonly lease: Lease;
  readonly journal: Journal<Tx>;
  readonly signal: AbortSignal;
}
