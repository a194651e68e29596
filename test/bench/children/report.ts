/** What a measured process hands back. */

/** Fields of a case's own, beside those that all have. */
export type Extra = Readonly<Record<string, number | string | null>>;

export interface Outcome extends Readonly<Record<string, number | string | boolean | null | undefined>> {
  readonly rows: number;
  /** Whether the programs that it started did all the work: then its own memory is not counted. */
  readonly isOfPrograms?: boolean;
  /** Bytes of what was written. */
  readonly bytes?: number | null;
}

export interface Report extends Extra {
  readonly rows: number;
  readonly bytes: number | null;
  readonly seconds: number;
  readonly cpuNodeSeconds: number;
  readonly peakRssBytes: number;
}
