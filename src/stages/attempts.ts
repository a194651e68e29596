/**
 * What becomes of a run when one of its partitions fails. It is reported and the others go on, unless the failure is not the
 * partition's own: then nothing more is begun, and what is under way stops at its next checkpoint.
 */
import { checkpoint } from "../environment.ts";
import { type ErrorCode, FirnlineError } from "../errors.ts";
import { type LeafName, partitionId, type PartitionKey } from "../segment/partition-key.ts";
import type { StageContext } from "./context.ts";
import { Gate } from "./overlap.ts";

/** Failures of one partition. All others end the run; so does a table that changed under it (`E_SOURCE`). */
const OF_ONE_PARTITION: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "E_VERIFY",
  "E_FORMAT",
  "E_DATABASE",
  "E_ARCHIVE",
  "E_COLD",
  "E_DETACH",
  "E_HELD",
  "E_CAPACITY", // often it is this one that is too large; a full disk is one for the next ones too, and they are counted
  "E_TYPE", // a row of more than 1 GB: of the table itself that was looked at before
]);
/** So many in a row are not the partitions' fault: the database or the store is out of order. */
const FAILURES_IN_A_ROW_MAX = 3;

const isOfOnePartition = (error: unknown): error is FirnlineError =>
  error instanceof FirnlineError && OF_ONE_PARTITION.has(error.code);

/** A partition that another session kept from its stage. */
export interface PutOff {
  readonly partition: PartitionKey;
  readonly error: FirnlineError;
}

/** What becomes of failures of one partition. */
export interface Failures {
  readonly failures: FirnlineError[];
  /** What may be tried once more; null: nothing is any more. */
  readonly putOff: PutOff[] | null;
}

export type StageGate = Pick<Gate, "pass" | "passAlone">;

export class Attempts<Tx> {
  /** The run's, with a signal that also ends when it cannot go on. */
  readonly context: StageContext<Tx>;
  readonly #failures: Failures;
  readonly #stopping = new AbortController();
  readonly #failed = new Set<string>();
  readonly #failedLeaves = new Set<string | undefined>();
  #inARow = 0;
  #fatal: { readonly error: unknown } | null = null;

  constructor(run: StageContext<Tx>, failures: Failures) {
    this.context = { ...run, signal: AbortSignal.any([run.signal, this.#stopping.signal]) };
    this.#failures = failures;
  }

  /** A gate that is shut when the run has to stop. */
  newGate(width = 1): StageGate {
    const gate = new Gate(width);
    return {
      pass: async (work) => await gate.pass(async () => await this.#unlessOver(work)),
      passAlone: async (work) => await gate.passAlone(async () => await this.#unlessOver(work)),
    };
  }

  async #unlessOver<T>(work: () => Promise<T>): Promise<T> {
    checkpoint(this.context.signal);
    try {
      return await work();
    } catch (error) {
      // At once: the next one is at the gate.
      if (!isOfOnePartition(error)) this.#end(error);
      throw error;
    }
  }

  /** Never rejects. */
  async make(partition: PartitionKey, work: () => Promise<void>): Promise<void> {
    if (this.areOver) return;
    try {
      checkpoint(this.context.signal);
      // What the last one decided comes first.
      if (this.#inARow > 0) await this.context.journal.publish();
    } catch (error) {
      return this.#end(error); // without a journal there is no use in going on
    }
    try {
      await work();
      this.#inARow = 0;
    } catch (error) {
      // What was under way ends with the first one's error, or because of it.
      if (this.areOver) return;
      this.#inARow += 1;
      if (!isOfOnePartition(error) || this.#inARow >= FAILURES_IN_A_ROW_MAX) return this.#end(error);
      this.#failed.add(partitionId(partition));
      this.#failedLeaves.add(partition.leaf?.oid);
      const { failures, putOff } = this.#failures;
      if (error.blocked && putOff !== null) putOff.push({ partition, error });
      else failures.push(error);
    }
  }

  /** The first one counts. */
  #end(error: unknown): void {
    if (this.areOver) return;
    this.#fatal = { error };
    this.#stopping.abort(error);
  }

  /** Whether the run has to end. */
  get areOver(): boolean {
    return this.#fatal !== null;
  }

  throwFatal(): void {
    if (this.#fatal !== null) throw this.#fatal.error;
  }

  hasFailed(partition: PartitionKey): boolean {
    return this.#failed.has(partitionId(partition));
  }

  hasFailedIn(leaf: LeafName): boolean {
    return this.#failedLeaves.has(leaf.oid);
  }
}
