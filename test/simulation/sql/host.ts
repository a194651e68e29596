/** What a statement asks of the database that it runs on. */
export interface Host {
  /** Micros since 1970: when the transaction began, and now. */
  readonly startedAt: bigint;
  readonly clock: bigint;
  nextval(sequence: string): bigint;
  uuid(): string;
  /** Whether there is such a table. */
  has(table: string): boolean;
}
