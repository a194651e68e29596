/**
 * What `sql/health.sql` reports of the server and of the table's storage, and which of it forbids a run. The table's
 * own definition is `describe.ts`'s business; what is merely a pity is `advice.ts`'s.
 */
import { readFileSync } from "node:fs";
import { FirnlineError } from "../../errors.ts";
import { durationText } from "../../plan/advice.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";

const HEALTH = readFileSync(new URL("./sql/health.sql", import.meta.url), "utf8");

/** Versions of a collation: when the indexes were built, and of the library that compares now. */
export interface CollationFacts {
  readonly recorded: string | null;
  readonly actual: string | null;
}

export interface PreparedFacts {
  readonly gid: string;
  readonly owner: string;
  readonly seconds: number;
  /** Whether it wrote to the table, or locked rows of it. */
  readonly holdsTable: boolean;
}

export interface SessionFacts {
  readonly pid: number;
  readonly user: string | null;
  readonly application: string;
  readonly state: string | null;
  /** Since its transaction began. */
  readonly seconds: number;
}

export interface SlotFacts {
  readonly name: string;
  readonly active: boolean;
  /** Whether it keeps vacuum from removing rows of tables. */
  readonly holdsVacuum: boolean;
  /** WAL that is kept for it. */
  readonly bytes: string;
}

/** The source, or a leaf. */
export interface StorageFacts {
  readonly oid: string;
  /** Schema and name as SQL writes them. */
  readonly quoted: string;
  readonly kind: string;
  /** As SQL writes it. */
  readonly owner: string;
  readonly isOwner: boolean;
  /** Whether a sound index begins with the time column. */
  readonly hasTimeIndex: boolean;
  /** Estimated by the last ANALYZE; -1 before the first. */
  readonly rows: number;
  readonly heapBytes: string;
  /** With TOAST. */
  readonly dataBytes: string;
  /** With TOAST and indexes. */
  readonly totalBytes: string;
  /** Mean bytes of a row in the heap; null before the first ANALYZE. */
  readonly rowBytes: number | null;
  /** Share of rows that are due; null where nobody knows. */
  readonly dueShare: number | null;
  readonly options: Readonly<Record<string, string>>;
}

export interface HealthFacts {
  readonly database: string;
  /** As SQL writes it. */
  readonly role: string;
  readonly fsync: string;
  readonly collation: CollationFacts;
  readonly collations: readonly (CollationFacts & { readonly quoted: string })[];
  readonly prepared: readonly PreparedFacts[];
  /** The oldest few. */
  readonly sessions: readonly SessionFacts[];
  readonly slots: readonly SlotFacts[];
  readonly settings: Readonly<Record<string, string>>;
  /** Those that could be installed, of the ones that rewrite a table beside its writers. */
  readonly extensions: readonly string[];
  /** As SQL writes them. */
  readonly invalidIndexes: readonly string[];
  readonly tables: readonly StorageFacts[];
}

export interface HealthRequest {
  /** Of the source, first, and its partitions; none where there is no such table. */
  readonly oids: readonly string[];
  /** Those of them whose storage is looked at, the source first. */
  readonly stored: readonly string[];
  readonly time: string;
  /** An instant, as Postgres reads it. */
  readonly dueBefore: string;
}

export async function readHealth(tx: Transaction, request: HealthRequest): Promise<HealthFacts> {
  const { oids, stored, time, dueBefore } = request;
  const { rows } = await tx.query(HEALTH, [oids, stored, time, dueBefore], "health");
  return rows[0]?.["facts"] as HealthFacts;
}

/** Longer than any transaction in two phases takes that somebody still thinks of. */
const PREPARED_SECONDS_MAX = 3_600;

/**
 * A transaction in two phases is prepared for moments and then committed. One that was left over keeps its locks, its
 * rows in doubt and every deleted row on disk, until somebody ends it (hazard 30). On the table it may stay as long as
 * any lock is waited for, elsewhere in the database an hour.
 */
export function isLeftOver({ holdsTable, seconds }: PreparedFacts, graceSeconds: number): boolean {
  return seconds >= PREPARED_SECONDS_MAX || (holdsTable && seconds >= graceSeconds);
}

/** `subject` names the table. */
export function judgeHealth(subject: string, facts: HealthFacts, graceSeconds: number): FirnlineError[] {
  const findings: FirnlineError[] = [];
  const finding = (about: string, problem: string, hint: string, ...fix: string[]): void => {
    findings.push(new FirnlineError({ code: "E_SERVER", subject: about, problem, hint, fix }));
  };
  const server = `database ${facts.database}`;
  if (facts.fsync !== "on") {
    finding(
      server,
      "fsync is off, so a crash of the machine can lose commits that the archive has already followed",
      "Turn it on before any row is deleted",
      "ALTER SYSTEM SET fsync = on;",
      "SELECT pg_reload_conf();",
    );
  }
  if (isOutdated(facts.collation)) {
    const database = quoteIdentifier(facts.database);
    finding(
      server,
      `${versions(facts.collation)}: indexes over text, Firnline's own among them, may miss rows`,
      "Rebuild the indexes, then record the new version",
      `REINDEX DATABASE CONCURRENTLY ${database};`,
      `ALTER DATABASE ${database} REFRESH COLLATION VERSION;`,
    );
  }
  for (const collation of facts.collations.filter(isOutdated)) {
    finding(
      subject,
      `collation ${collation.quoted}: ${versions(collation)}, and its indexes may miss rows`,
      "Rebuild the indexes, then record the new version",
      ...facts.tables.slice(0, 1).map(({ quoted }) => `REINDEX TABLE CONCURRENTLY ${quoted};`),
      `ALTER COLLATION ${collation.quoted} REFRESH VERSION;`,
    );
  }
  for (const one of facts.prepared.filter((each) => isLeftOver(each, graceSeconds))) {
    const gid = quoteLiteral(one.gid);
    const harm = one.holdsTable
      ? "holds rows of the table in doubt"
      : "keeps vacuum from removing what is deleted";
    finding(
      one.holdsTable ? subject : server,
      `prepared transaction ${gid} of ${one.owner} was left open ${durationText(one.seconds)} ago and ${harm}`,
      "Ask its owner, then roll it back or commit it",
      `ROLLBACK PREPARED ${gid};`,
      `-- or: COMMIT PREPARED ${gid};`,
    );
  }
  return findings;
}

/** Only what was recorded can differ; locales like C have no version and never do. */
function isOutdated({ recorded, actual }: CollationFacts): boolean {
  return recorded !== null && recorded !== actual;
}

function versions({ recorded, actual }: CollationFacts): string {
  return `text was sorted by collation version ${recorded}, and is now by ${actual ?? "one without a version"}`;
}
