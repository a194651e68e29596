/** What came of a soak, for people; and what of it is wrong. */
import type { Written } from "./application.ts";
import type { Handles } from "./footprint.ts";
import type { Nights } from "./nights.ts";
import type { SoakOptions } from "./options.ts";
import type { Retrievals } from "./retrievals.ts";

export interface Result {
  readonly options: SoakOptions;
  /** Of Postgres. */
  readonly version: string;
  readonly written: Written;
  /** Rows that are there in the end, and those of them that are not in the table any more. */
  readonly rows: number;
  readonly archived: number;
  readonly nights: Nights;
  readonly retrievals: Retrievals;
  /** Milliseconds of each transaction, from when it was due. */
  readonly alone: readonly number[];
  readonly together: readonly number[];
  /** MiB, by command. */
  readonly memory: ReadonlyMap<string, number>;
  readonly before: Handles;
  readonly after: Handles;
}

/** Empty where all is well. */
export function faultsOf({ after, archived, before, nights, retrievals }: Result): string[] {
  const leaks = (["files", "sockets", "backends"] as const).flatMap((what) =>
    after[what] > before[what] ? [`${what}: ${before[what]} at the start, ${after[what]} at the end`] : [],
  );
  const idle = archived === 0 || nights.counts.killed === 0 || retrievals.counts.answers === 0;
  return [
    ...nights.faults,
    ...retrievals.faults,
    ...leaks,
    ...(idle ? ["nothing was archived, killed or retrieved: that was no soak"] : []),
  ];
}

export function printReport(result: Result): void {
  const { after, alone, before, memory, nights, options, retrievals, together, written } = result;
  const { counts } = nights;
  const line = (name: string, text: string): void => console.log(`${name.padEnd(10)} ${text}`);
  console.log();
  line(
    "server",
    `PostgreSQL ${result.version} on disk, ${options.writers} writers, ${options.rate} transactions/s wanted`,
  );
  line(
    "rows",
    `${count(written.inserted)} in (${count(written.late)} late), ${count(written.changed)} changed, ` +
      `${count(written.deleted)} deleted, in ${count(written.transactions)} transactions`,
  );
  line("moved", `${count(result.archived)} of ${count(result.rows)} are in the archive alone`);
  line("retrieved", `${count(retrievals.counts.rows)} rows in ${count(retrievals.counts.answers)} answers`);
  line(
    "wrong",
    `${retrievals.counts.lost} lost, ${retrievals.counts.duplicated} duplicated, ${retrievals.counts.altered} altered`,
  );
  line(
    "runs",
    `${counts.runs}: ${counts.done} done, ${counts.partly} partly, ${counts.failed} failed, ${counts.killed} killed; ` +
      `${counts.verified} verify, ${counts.collected} collect (${counts.objectsRemoved} objects removed)`,
  );
  for (const [what, times] of [...nights.complaints].sort()) line("", `${times} x ${what}`);
  line("refused", `${[...retrievals.refusals.values()].reduce((sum, times) => sum + times, 0)} retrievals`);
  for (const [what, times] of [...retrievals.refusals].sort()) line("", `${times} x ${what}`);
  line("latency", `writers alone ${latency(alone)}`);
  line("", `with Firnline ${latency(together)}`);
  line(
    "memory",
    [...memory]
      .sort()
      .map(([command, mib]) => `${command} ${mib} MiB`)
      .join(", "),
  );
  line("handles", `${handles(before)} at the start`);
  line("", `${handles(after)} at the end`);
}

const count = (value: number | bigint): string => value.toLocaleString("en-US");

const handles = ({ backends, files, sockets }: Handles): string =>
  `${files} files, ${sockets} sockets, ${backends} sessions in Postgres`;

function latency(ms: readonly number[]): string {
  const sorted = [...ms].sort((left, right) => left - right);
  const at = (share: number): string =>
    `${(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1)} ms`;
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)} (${count(ms.length)} transactions)`;
}
