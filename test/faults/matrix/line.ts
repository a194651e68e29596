/**
 * The fault matrix: 44 lines, each a fault, the stage that it hits, and what must come of it. `main.ts` runs them. A line may
 * have several parts, which share its number.
 */
import type { EmbeddedPostgres } from "../../../src/demo/embedded-postgres.ts";
import type { S3Server, S3ServerName } from "../../support/s3-server.ts";
import type { Journaled, OracleOptions } from "../../support/oracle.ts";
import type { RunAs, Scenario, ScenarioOptions } from "../../support/scenario.ts";

/**
 * OK: the next run goes on, and nothing is lost or doubled. STOP: nothing is deleted, and the error says what to do. DRIFT:
 * rolled back, and exported again.
 */
export type Expected = "OK" | "STOP" | "DRIFT";

export interface FaultLine {
  /** 1 to 44. */
  readonly number: number;
  /** In a few words, e.g. `SIGKILL in the middle of COPY`. */
  readonly fault: string;
  /** Of the flow, e.g. `export`. */
  readonly stage: string;
  readonly expected: Expected;
  /**
   * Brings the fault about, checks what comes of it, and settles. Returns what was seen, in a few words; throws where that
   * is not what is expected, and `NotToBeHad` where something that it needs is not on this machine.
   */
  run(bench: FaultBench): Promise<string>;
}

/** A line that throws this is skipped, with the message as the reason. */
export class NotToBeHad extends Error {}

export interface SettleOptions extends OracleOptions, Pick<RunAs, "asOf" | "environ"> {
  /** What the reruns have besides `run --backfill --as-of`, e.g. `--retry-quarantined`. */
  readonly args?: readonly string[];
  /** Table and journal are of different times until the rerun: the first oracle is a retrieval alone. */
  readonly isRestored?: boolean;
}

/** What the rerun moved, as `run --json` says it. */
export interface Rerun {
  readonly exported: number;
  readonly pruned: number;
  readonly deleted: number;
  readonly cooled: number;
  readonly replaced: number;
}

/** What a line works with. All of it is gone when the line has ended, however it ended. */
export interface FaultBench {
  /** A scenario in a database of its own; with its archive in a folder unless the options name a bucket. */
  scenario(options?: ScenarioOptions): Promise<Scenario>;
  /** A Postgres of the line's own, to be killed, filled and restored. */
  postgres(settings?: Readonly<Record<string, string>>): Promise<EmbeddedPostgres>;
  /** A scenario on a server of the line's own. */
  scenarioOn(server: EmbeddedPostgres, options?: ScenarioOptions): Promise<Scenario>;
  /** The same policy and archive, from another database: a clone, a restored copy. */
  elsewhere(scenario: Scenario, url: string): Scenario;
  /** An empty folder that the user of a Postgres server can reach. */
  folder(): Promise<string>;
  /** Disposes of it at the end of the line; what was kept last goes first. */
  keep<T extends AsyncDisposable>(resource: T): T;
  /** The run's S3 server; throws `NotToBeHad` where there is none. Its address is the real one, without a proxy. */
  s3(name: S3ServerName): Promise<S3Server>;
  /**
   * The oracle: table and pruned chunks are together all rows that ever went in, by files and DuckDB alone and by a
   * retrieval of everything; each pruned chunk lies in an object with the journaled hash; whatever journal or catalog
   * refers to is there. The files of a bucket are read past the scenario's endpoint, so that a proxy's script does not
   * matter; the retrieval goes the scenario's own way.
   */
  oracle(scenario: Scenario, options?: OracleOptions): Promise<void>;
  /** The journal as the archive has it now, its chain checked. */
  journal(scenario: Scenario): Promise<Journaled[]>;
  /**
   * What follows each fault: the oracle, a rerun that must end well, the oracle, `verify --deep`, and a run that must do
   * nothing: no step, no row, no object, no entry but its `run-started`. The runs are processes of their own.
   */
  settle(scenario: Scenario, options?: SettleOptions): Promise<Rerun>;
  /** STOP: over `work` no row of the table and no file of the archive may change. Returns what `work` does. */
  unchanged<T>(scenario: Scenario, work: () => Promise<T>): Promise<T>;
}
