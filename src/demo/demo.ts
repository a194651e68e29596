/**
 * The whole pipeline in about a minute, on a Postgres and an archive of its own: 400 days of audit events, a first big
 * move, then night after night in fast-forward, so that rows really pass through hot, warm and cold; a retrieval over
 * all three with a restore; and a comparison of every row that came back with every row that ever went in.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Settings } from "../config.ts";
import { checkpoint, type Progress } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { Plan } from "../plan/step.ts";
import { parsePolicy } from "../policy/policy.ts";
import { addDays, type DayUtc, dayOf, dayStart, type EpochMicros, microsFromMs } from "../rows/day.ts";
import { Pipeline } from "../pipeline.ts";
import type { Status } from "../pipeline-options.ts";
import { migrateDatabase, systemClock } from "../wiring.ts";
import type { RetrieveResult } from "../retrieve/retrieve-range.ts";
import { AuditLog } from "./audit-log.ts";
import { startEmbeddedPostgres } from "./embedded-postgres.ts";

/** Enough for a first big move and for every tier to have rows. */
const HISTORY_DAYS = 400;
/** Nights in fast-forward, one day of new events each. */
const NIGHTS = 14;
/** How long a restore takes in the demo's archive; Glacier takes hours. */
const RESTORE_DELAY_MS = 1_500;
export const DEMO_ROWS_MIN = HISTORY_DAYS + NIGHTS;

export interface DemoOptions {
  readonly rows: number;
  readonly keep: boolean;
  readonly settings: Settings;
  readonly signal: AbortSignal;
  readonly story: DemoStory;
}

/** What the demo tells while it goes; the command line prints it. */
export interface DemoStory {
  chapter(title: string): void;
  line(text: string): void;
  plan(plan: Plan): void;
  status(status: Status): void;
  /** What is going on, until the next word. */
  progress(text: string): void;
}

export interface DemoResult {
  readonly inserted: bigint;
  readonly hot: bigint;
  readonly warm: bigint;
  readonly cold: bigint;
  readonly retrieved: bigint;
  readonly lost: bigint;
  readonly duplicated: bigint;
  readonly movedBySecondRun: bigint;
  readonly restored: number;
  readonly seconds: number;
  /** Null unless kept. */
  readonly folder: string | null;
  readonly dataDirectory: string | null;
}

export interface TierRows {
  readonly hot: bigint;
  readonly warm: bigint;
  readonly cold: bigint;
}

/** Ends with everything that it made gone again, unless kept; `E_INTERRUPTED` when it was asked to stop. */
export async function runDemo(
  options: DemoOptions,
  tiers: (status: Status) => TierRows,
): Promise<DemoResult> {
  try {
    return await playDemo(options, tiers);
  } catch (cause) {
    if (!options.signal.aborted) throw cause;
    throw new FirnlineError({
      code: "E_INTERRUPTED",
      subject: "firnline demo",
      problem: "it was asked to stop",
      hint: options.keep
        ? "What it made is kept in the temporary folder"
        : "Everything it made is gone again",
      cause,
    });
  }
}

async function playDemo(options: DemoOptions, tiers: (status: Status) => TierRows): Promise<DemoResult> {
  const startedMs = systemClock.monotonicMs();
  const { signal, story } = options;
  await using cleanup = new AsyncDisposableStack();

  story.chapter("A Postgres 18 of its own");
  story.progress("starting it");
  const server = cleanup.use(await startEmbeddedPostgres({ signal, durable: true, keep: options.keep }));
  const url = server.url();
  const log = cleanup.use(await AuditLog.create(url));
  story.line(`it answers on 127.0.0.1:${server.port}, and goes when the demo ends`);

  // In the server's folder, which goes with us however we end, by SIGKILL too.
  const folder = join(dirname(server.dataDirectory), "firnline");
  await mkdir(join(folder, "pipelines"), { recursive: true, mode: 0o700 });
  const policyText = demoPolicy(join(folder, "archive"));
  await writeFile(join(folder, "pipelines", "audit-logs.yaml"), policyText);
  const policy = parsePolicy(policyText, "audit-logs.yaml");
  const settings = { ...options.settings, fileRestoreDelayMs: RESTORE_DELAY_MS };
  await migrateDatabase(url, settings);
  let onProgress: (progress: Progress) => void = () => {};
  const pipeline = cleanup.use(
    new Pipeline({ policy, connectionString: url, settings, report: (progress) => onProgress(progress) }),
  );

  const today = dayOf(microsFromMs(systemClock.now()));
  const firstNight = addDays(today, -NIGHTS);
  const firstDay = addDays(firstNight, -HISTORY_DAYS);
  const perNight = Math.max(1, Math.floor(options.rows / (HISTORY_DAYS + NIGHTS)));
  const history = options.rows - perNight * NIGHTS;
  story.chapter(`${HISTORY_DAYS} days of audit events`);
  await log.insertDays(firstDay, HISTORY_DAYS, history, signal, (rows) =>
    story.progress(`inserted ${count(rows)} of ${count(history)}`),
  );
  checkpoint(signal);
  story.line(`${count(history)} events are in the table public.audit_logs, all of them hot`);

  story.chapter("The plan: what a run would do, and why");
  const backlog = { asOf: nightOf(firstNight), backfill: true };
  const plan = await pipeline.plan(backlog);
  story.plan(plan);

  story.chapter("The first move: every row is read back from the archive before it is deleted");
  const due = plan.steps.reduce((sum, { rows }) => sum + rows, 0n);
  onProgress = ofMoved(due, (text) => story.progress(text));
  const first = await pipeline.run({ ...backlog, signal });
  story.line(
    `archived ${count(first.exported)} rows, pruned ${count(first.pruned)}, cooled down ${count(first.cooled)}`,
  );

  story.chapter(`${NIGHTS} nights in fast-forward`);
  onProgress = () => {};
  for (let night = 1; night <= NIGHTS; night += 1) {
    checkpoint(signal);
    story.progress(`night ${night} of ${NIGHTS}`);
    await log.insertDay(addDays(firstNight, night - 1), perNight);
    const { pruned, cooled } = await pipeline.run({ asOf: nightOf(addDays(firstNight, night)), signal });
    story.line(`night ${night}: ${count(pruned)} rows from hot to warm, ${count(cooled)} from warm to cold`);
  }

  story.chapter("Where the rows are now");
  const asOf = nightOf(today);
  const status = await pipeline.status({ asOf, runsMax: 1 });
  story.status(status);

  story.chapter("A compliance request over all of it: cold segments are restored first");
  onProgress = ({ stage, subject, rows }) =>
    story.progress(
      stage === "columns"
        ? `looked at the columns of ${rows} of ${subject}`
        : stage === "restore"
          ? `${rows} of ${subject} are readable`
          : `read ${count(rows)} rows back`,
    );
  const out = join(folder, "answer.ndjson");
  const answer = await retrieveAll(pipeline, firstDay, today, out, signal);
  const { hot, warm, cold } = answer.rowsFrom;
  story.line(
    `${answer.restored} cold segments restored; ${count(hot)} hot, ${count(warm)} warm and ` +
      `${count(cold)} cold rows came back`,
  );
  story.progress(`comparing them with the ${count(options.rows)} that were inserted`);
  const compared = await log.compare(out);
  checkpoint(signal);
  story.line(
    `compared with every row ever inserted: ${count(compared.lost)} lost, ${count(compared.duplicated)} duplicated`,
  );

  story.chapter("A second run right away");
  const second = await pipeline.run({ asOf, signal });
  const moved = second.exported + second.pruned + second.deleted + second.cooled;
  story.line(moved === 0n ? "it had nothing to do" : `it moved ${count(moved)} rows`);

  return {
    ...compared,
    ...tiers(status),
    retrieved: answer.rows,
    movedBySecondRun: moved,
    restored: answer.restored,
    seconds: Math.round((systemClock.monotonicMs() - startedMs) / 100) / 10,
    folder: options.keep ? folder : null,
    dataDirectory: options.keep ? server.dataDirectory : null,
  };
}

/** `1,234,567`. */
const count = (rows: bigint | number): string => rows.toLocaleString("en-US");

/** Tells how far a move is: a row has moved when it is pruned, the last thing that happens to most of them. */
function ofMoved(due: bigint, tell: (text: string) => void): (progress: Progress) => void {
  const pruned = new Map<string, bigint>();
  return ({ stage, subject, rows }) => {
    if (stage === "prune") pruned.set(subject, rows);
    const moved = [...pruned.values()].reduce((sum, one) => sum + one, 0n);
    tell(`${(100n * moved) / (due || 1n)}% moved, ${count(moved)} of ${count(due)} rows`);
  };
}

async function retrieveAll(
  pipeline: Pipeline,
  firstDay: DayUtc,
  today: DayUtc,
  out: string,
  signal: AbortSignal,
): Promise<RetrieveResult> {
  const range = { from: dayStart(firstDay), to: dayStart(addDays(today, 1)), where: [] };
  return await pipeline.retrieve(range, { out, requestedBy: "demo", signal });
}

/** Two in the morning, when a night's run starts. */
const nightOf = (day: DayUtc): EpochMicros => (dayStart(day) + 2n * 3_600_000_000n) as EpochMicros;

function demoPolicy(archive: string): string {
  return [
    "# The policy of `firnline demo`: 30 days in Postgres, to the age of a year as warm Parquet, then cold for ever.",
    "version: 1",
    "pipeline: audit_logs",
    "source:",
    "  connection: DATABASE_URL",
    "  table: public.audit_logs",
    "  time: ts",
    "archive:",
    `  url: ${pathToFileURL(archive).href}`,
    "tiers:",
    "  hot: { keep: 30d }",
    "  warm: { keep: 365d }",
    "  cold: { storageClass: DEEP_ARCHIVE, keep: forever }",
    "",
  ].join("\n");
}
