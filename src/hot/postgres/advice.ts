/** What would make a run quicker, or will bite later, as `sql/health.sql` shows it. Pure. */
import { type Advice, type AdviceCode, durationText, sizeText } from "../../plan/advice.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { TableName } from "../port.ts";
import type { HealthFacts, StorageFacts } from "./health.ts";

export interface AdvisedTable {
  readonly table: TableName;
  /** Name of the time column. */
  readonly time: string;
  readonly hotDays: number;
  /** Whether rows of it will be deleted one by one. */
  readonly deletes: boolean;
  /** Oids of the tables in which a day's rows are looked for among others: no partition's bounds lead to them. */
  readonly searched: ReadonlySet<string>;
}

/** Sessions, statements and retained WAL that may be in the way for longer than this are worth a word. */
const TRANSACTION_SECONDS_MAX = 3_600;
const STATEMENT_MS_MIN = 3_600_000;
const SLOT_BYTES_MAX = 1024n ** 3n;
/** Below these a table costs nothing, whatever autovacuum does and however empty its pages are. */
const VACUUM_ROWS_MIN = 100_000;
const EMPTY_BYTES_MIN = 64n * 1024n * 1024n;
const EMPTY_SHARE_MIN = 0.5;
const LISTED_MAX = 10;

export function adviseOn(about: AdvisedTable, facts: HealthFacts): Advice[] {
  const [source] = facts.tables;
  const subject = `${about.table.schema}.${about.table.name}`;
  const onTable =
    source === undefined
      ? []
      : [
          ...missingIndex(subject, about, facts.tables),
          ...brokenIndexes(subject, facts),
          ...(about.deletes && source.kind === "r"
            ? [
                ...rareVacuum(subject, about, source, facts.settings),
                ...emptyPages(subject, about, source, facts),
              ]
            : []),
        ];
  return [...onTable, ...shortTimeouts(facts), ...heldVacuum(facts)];
}

function advice(code: AdviceCode, subject: string, problem: string, hint: string, ...fix: string[]): Advice {
  return { code, subject, problem, hint, fix };
}

/** Statements that only the owner may run say so where somebody else asks. */
function asOwner({ isOwner, owner }: StorageFacts, statements: readonly string[]): string[] {
  return isOwner ? [...statements] : [`-- as ${owner}, who owns it`, ...statements];
}

function missingIndex(
  subject: string,
  { time, searched }: AdvisedTable,
  tables: readonly StorageFacts[],
): Advice[] {
  const bare = tables.filter(
    ({ kind, oid, hasTimeIndex }) => kind === "r" && searched.has(oid) && !hasTimeIndex,
  );
  const [first] = bare;
  if (first === undefined) return [];
  const bytes = bare.reduce((sum, { dataBytes }) => sum + BigInt(dataBytes), 0n);
  const [count, noun] = [bare.length, bare.length === 1 ? "partition that has" : "partitions that have"];
  const where = first.oid === tables[0]?.oid ? "" : ` in ${count} ${noun} no limits in time`;
  return [
    advice(
      "A_INDEX",
      subject,
      `no index begins with ${time}${where}, so that every day's export reads all of it (${sizeText(bytes)})`,
      "Build one; the application goes on writing meanwhile",
      ...listed(bare, (one) =>
        asOwner(one, [`CREATE INDEX CONCURRENTLY ON ${one.quoted} (${quoteIdentifier(time)});`]),
      ),
    ),
  ];
}

function brokenIndexes(subject: string, { invalidIndexes }: HealthFacts): Advice[] {
  if (invalidIndexes.length === 0) return [];
  return [
    advice(
      "A_INDEX",
      subject,
      `an index was left invalid (found ${invalidIndexes.slice(0, LISTED_MAX).join(", ")}): it slows writes down and serves no query`,
      "Rebuild it, or drop it",
      ...listed(invalidIndexes, (quoted) => [`REINDEX INDEX CONCURRENTLY ${quoted};`]),
    ),
  ];
}

/**
 * Autovacuum begins after a share of the rows, 20% by default; a night prunes one day of those that are kept. When that
 * is less, deleted rows of many nights lie on disk before their space is used again.
 */
function rareVacuum(
  subject: string,
  { hotDays }: AdvisedTable,
  table: StorageFacts,
  settings: HealthFacts["settings"],
): Advice[] {
  const { quoted, rows, options } = table;
  // As Postgres reads a boolean.
  if (/^(?:f|of|n|0)/i.test(options["autovacuum_enabled"] ?? "")) {
    const problem = "autovacuum is off for it, so the space of pruned rows is never used again";
    const fix = [`ALTER TABLE ${quoted} RESET (autovacuum_enabled);`];
    return [advice("A_VACUUM", subject, problem, "Turn it on", ...asOwner(table, fix))];
  }
  const off = ["autovacuum", "track_counts"].find((name) => settings[name] === "off");
  if (off !== undefined) {
    const problem = `${off} is off on this server, so the space of pruned rows is never used again`;
    const fix = [`ALTER SYSTEM SET ${off} = on;`, "SELECT pg_reload_conf();"];
    return [advice("A_VACUUM", subject, problem, "Turn it on", ...fix)];
  }
  const number = (name: string): number => Number(options[name] ?? settings[name]);
  const share = number("autovacuum_vacuum_scale_factor");
  const begins = number("autovacuum_vacuum_threshold") + share * rows;
  // PostgreSQL 18 has an upper limit; -1 switches it off.
  const limit = number("autovacuum_vacuum_max_threshold");
  const night = rows / (hotDays + 1);
  if (rows < VACUUM_ROWS_MIN || (limit >= 0 && limit < begins ? limit : begins) <= night) return [];
  const count = (value: number): string => Math.round(value).toLocaleString("en-US");
  return [
    advice(
      "A_VACUUM",
      subject,
      `autovacuum waits for ${count(begins)} deleted rows, and a night's prune leaves about ${count(night)}`,
      "Let it come every night",
      ...asOwner(table, [
        `ALTER TABLE ${quoted} SET (autovacuum_vacuum_scale_factor = ${scaleFor(hotDays)});`,
      ]),
    ),
  ];
}

/** A round share that is at most half of a night's. */
function scaleFor(hotDays: number): number {
  const half = 0.5 / (hotDays + 1);
  const size = 10 ** Math.floor(Math.log10(half));
  const digit = [5, 2].find((one) => one * size <= half) ?? 1;
  return Number((digit * size).toPrecision(1));
}

/** Vacuum makes the space of pruned rows free for new ones; only rewriting the table gives it back to the disk. */
function emptyPages(
  subject: string,
  { table: name }: AdvisedTable,
  table: StorageFacts,
  { database, extensions }: HealthFacts,
): Advice[] {
  const heap = Number(table.heapBytes);
  if (heap === 0 || table.rows < 0 || table.rowBytes === null) return [];
  const due = table.dueShare ?? 0;
  const kept = Math.min(1, (table.rows * table.rowBytes * (1 - due)) / heap);
  const total = BigInt(table.totalBytes);
  const empty = BigInt(Math.round(Number(total) * (1 - kept)));
  if (empty < EMPTY_BYTES_MIN || kept > 1 - EMPTY_SHARE_MIN) return [];
  const [when, state] = due > 0 ? ["once what is due is pruned, ", "will hold"] : ["", "hold"];
  const shell = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const repack = `# pg_repack --dbname ${shell(database)} --table ${shell(table.quoted)}`;
  const squeeze = `SELECT squeeze.squeeze_table(${quoteLiteral(name.schema)}, ${quoteLiteral(name.name)});`;
  return [
    advice(
      "A_SPACE",
      subject,
      `${when}about ${sizeText(empty)} of its ${sizeText(total)} ${state} no rows, and only new rows use that space again`,
      "Leave it where the table grows back; to give it to the disk, rewrite the table once, while no run is at work",
      "-- locks readers and writers out while it copies what is left:",
      ...asOwner(table, [`VACUUM (FULL, ANALYZE) ${table.quoted};`]),
      ...(extensions.includes("pg_repack") ? ["-- or beside them, from a shell:", repack] : []),
      ...(extensions.includes("pg_squeeze") ? ["-- or beside them:", squeeze] : []),
      ...(extensions.length === 0 ? ["-- the extensions pg_repack and pg_squeeze do it beside them"] : []),
    ),
  ];
}

/** An export of a day is one statement in one transaction, however large the day is. */
function shortTimeouts({ database, role, settings }: HealthFacts): Advice[] {
  return ["statement_timeout", "transaction_timeout"].flatMap((name) => {
    const ms = Number(settings[name] ?? 0);
    if (ms === 0 || ms >= STATEMENT_MS_MIN) return [];
    return [
      advice(
        "A_TIMEOUT",
        `role ${role}`,
        `${name} ends whatever takes ${durationText(ms / 1000)}, and the export of a large day may`,
        "Lift it for this role; Firnline has time limits of its own",
        `ALTER ROLE ${role} IN DATABASE ${quoteIdentifier(database)} SET ${name} = 0;`,
      ),
    ];
  });
}

/** What keeps deleted rows on disk, or the WAL of the deletes (hazard 30). */
function heldVacuum({ database, sessions, slots }: HealthFacts): Advice[] {
  const server = `database ${database}`;
  const old = sessions.filter(({ seconds }) => seconds >= TRANSACTION_SECONDS_MAX);
  const waiting = slots.filter(
    ({ active, holdsVacuum, bytes }) => !active && (holdsVacuum || BigInt(bytes) >= SLOT_BYTES_MAX),
  );
  return [
    ...old.map(({ pid, user, application, state, seconds }) =>
      advice(
        "A_HORIZON",
        server,
        `the transaction of process ${pid} (${user ?? "another user"}, ${application || "no name"}, ${state ?? "unknown"}) has been ` +
          `open for ${durationText(seconds)}, and vacuum removes nothing that was deleted since`,
        "Let it end, or end it",
        `SELECT pg_terminate_backend(${pid});`,
      ),
    ),
    ...waiting.map(({ name, holdsVacuum, bytes }) =>
      advice(
        "A_HORIZON",
        server,
        `nobody reads replication slot ${name}, which keeps ${sizeText(BigInt(bytes))} of WAL` +
          (holdsVacuum ? " and all rows that were deleted since" : ""),
        "Start its reader again, or drop it: a large prune adds as much WAL as it deletes",
        `SELECT pg_drop_replication_slot(${quoteLiteral(name)});`,
      ),
    ),
  ];
}

function listed<T>(items: readonly T[], lines: (item: T) => readonly string[]): string[] {
  const more = items.length - LISTED_MAX;
  return [...items.slice(0, LISTED_MAX).flatMap(lines), ...(more > 0 ? [`-- and for ${more} more`] : [])];
}
