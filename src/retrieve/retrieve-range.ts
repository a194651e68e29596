/**
 * retrieve: all rows of a range of time, from wherever they are now, or a refusal (I8).
 *
 * Cold segments are restored first. Then, within one snapshot, the catalog says which chunks are not in the table any
 * more, and all hot rows of the range are spooled. Hot is always read for the whole range; an archived chunk is added
 * only where the catalog says pruned. So a row that is moved while we look is seen exactly once, and a row that came
 * late is seen too (hazard 1).
 */
import { requireOwner, requireSameReading } from "../catalog/owner.ts";
import type { ReadableSegment } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import {
  addDays,
  type DayUtc,
  dayOf,
  dayStart,
  type EpochMicros,
  formatInstant,
  POSTGRES_EPOCH_MICROS,
} from "../rows/day.ts";
import { checkpoint, type Environment, timestamp } from "../environment.ts";
import { readArchived } from "./archived-rows.ts";
import { evidenceText } from "./evidence.ts";
import { ndjsonRow } from "./formats/ndjson.ts";
import { type PreparedFilter, prepareFilters } from "./filters.ts";
import { type LazySource, type MergeCounts, mergeRows } from "./merge.ts";
import { OutputFile } from "./output-file.ts";
import type { RangeRequest } from "./request.ts";
import { restoreSegments } from "./restore.ts";
import { RowCursor } from "./row-cursor.ts";
import { requireSameHistory } from "./same-history.ts";
import { Spool } from "./spool.ts";

export interface RetrieveOptions {
  readonly request: RangeRequest;
  readonly out: string;
  readonly requestedBy: string;
  /** Folder for the spool of hot rows. */
  readonly temporary: string;
  readonly signal: AbortSignal;
}

export interface RetrieveResult {
  readonly retrieval: string;
  /** RFC 3339; the answer holds `from <= time < to`. */
  readonly from: string;
  readonly to: string;
  readonly rows: bigint;
  /** Where the given rows came from. */
  readonly rowsFrom: { readonly hot: bigint; readonly warm: bigint; readonly cold: bigint };
  readonly segments: readonly string[];
  readonly restored: number;
  readonly collapsed: bigint;
  readonly conflicting: bigint;
  readonly sha256: string;
  readonly bytes: bigint;
  /** File that says what the answer was made of; see `evidence.ts`. */
  readonly evidence: string;
}

const RESTORE_ROUNDS_MAX = 3;
const REPORT_EVERY = 10_000n;

export async function retrieveRange<Tx>(
  environment: Environment<Tx>,
  options: RetrieveOptions,
): Promise<RetrieveResult> {
  const { archive, catalog, clock, hot, newHash, newUuid, policy, writer } = environment;
  const source = await hot.describe();
  const pipeline = await catalog.pipeline(policy.pipeline);
  if (pipeline === null) throw neverRun(policy.pipeline);
  requireOwner(pipeline, source.identity, archive.url);
  requireSameReading(pipeline, policy);
  const filters = await prepareFilters(hot, source, options.request.where);
  const retrieval = { retrieval: newUuid(), requestedBy: options.requestedBy, ...options.request };
  await catalog.startRetrieval(policy.pipeline, retrieval);
  try {
    // Both files are made before the long work, so that a name that cannot be written is known at once.
    await using out = await OutputFile.open(options.out, retrieval.retrieval, newHash);
    await using evidence = await OutputFile.open(
      `${options.out}.evidence.json`,
      retrieval.retrieval,
      newHash,
    );
    const { result, segments } = await answer(
      environment,
      source,
      filters,
      options,
      retrieval.retrieval,
      out,
    );
    const at = timestamp(clock);
    await evidence.write(
      evidenceText({
        ...retrieval,
        // Read anew: the journal may have gone on while we read, and it names every segment that we used.
        pipeline: (await catalog.pipeline(policy.pipeline)) ?? pipeline,
        at,
        writer,
        range: { time: policy.source.time, from: result.from, to: result.to },
        answer: result,
        rowsFrom: result.rowsFrom,
        segments,
      }),
    );
    await evidence.finish();
    await evidence.publish();
    await out.publish();
    await catalog.finishRetrieval(policy.pipeline, retrieval, result, at);
    return result;
  } catch (error) {
    const outcome = { error: (error as Error).message };
    // The refusal itself matters more than its record.
    await catalog.finishRetrieval(policy.pipeline, retrieval, outcome, timestamp(clock)).catch(() => {});
    throw error;
  }
}

async function answer<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  filters: readonly PreparedFilter[],
  options: RetrieveOptions,
  retrieval: string,
  out: OutputFile,
): Promise<{ result: RetrieveResult; segments: ReadableSegment[] }> {
  const { archive, catalog, newHash, policy } = environment;
  const { pipeline } = policy;
  const { request, signal } = options;
  const dayFrom = dayOf(request.from);
  const dayTo = dayOf((request.to - 1n) as EpochMicros);
  await using spool = await Spool.open(options.temporary, newHash, source.columns.length);
  const limits = await environment.hot.timeLimits(source, request);
  let restored = 0;
  let segments: ReadableSegment[] = [];
  for (let round = 1; ; round += 1) {
    const expected = await catalog.readableNow(pipeline, dayFrom, dayTo);
    restored += await restoreSegments({ ...environment, pipeline, signal }, expected);
    checkpoint(signal);
    const { first } = await environment.hot.readRange(
      source,
      request,
      environment.limits.chunk,
      async (tx) => {
        const found = await catalog.readable(tx, pipeline, dayFrom, dayTo);
        // A segment that went cold, or appeared, since it was looked at may need a restore: look again.
        const known = new Map(expected.map(({ record }) => [record.segment, record.storageClass]));
        const settled = found.every(({ record }) => known.get(record.segment) === record.storageClass);
        if (!settled && round < RESTORE_ROUNDS_MAX) return null;
        const names = found.map(({ record }) => record.segment);
        await catalog.pinSegments(tx, pipeline, retrieval, names);
        return { found, head: await catalog.journalHead(tx, pipeline) };
      },
      async (chunks) => await spool.write(chunks),
    );
    if (first !== null) {
      await requireSameHistory(environment, first.head);
      segments = first.found;
      break;
    }
    spool.reset();
  }
  const tierOf = new Map(
    segments.map(({ record }) => [record.segment, record.state === "cold" ? "cold" : "warm"] as const),
  );
  const readOptions = { archive, newHash, pipeline, source, signal };
  const sources: LazySource[] = segments.map((segment) => ({
    notBefore: notBefore(source, segment.record.dayFrom),
    open: () => new RowCursor(segment.record.segment, source, readArchived(readOptions, segment)),
  }));
  sources.push({ notBefore: limits.from, open: () => new RowCursor("hot", source, spool.read()) });

  const counts: MergeCounts = { collapsed: 0n, conflicting: 0n };
  const rowsFrom = { hot: 0n, warm: 0n, cold: 0n };
  const print = ndjsonRow(source.columns);
  let rows = 0n;
  for await (const row of mergeRows(sources, counts)) {
    const time = row.time();
    if (time < limits.from || time >= limits.to) continue;
    if (!filters.every((filter) => filter(row))) continue;
    await out.write(print(row));
    rowsFrom[row.origin === "hot" ? "hot" : (tierOf.get(row.origin) ?? "warm")] += 1n;
    rows += 1n;
    if (rows % REPORT_EVERY === 0n) {
      checkpoint(signal);
      environment.report({ stage: "read", subject: options.out, rows, bytes: out.bytes });
    }
  }
  checkpoint(signal);
  const sha256 = await out.finish();
  const result: RetrieveResult = {
    retrieval,
    from: formatInstant(request.from),
    to: formatInstant(request.to),
    rows,
    rowsFrom,
    segments: segments.map(({ record }) => record.segment),
    restored,
    ...counts,
    sha256,
    bytes: out.bytes,
    evidence: `${options.out}.evidence.json`,
  };
  return { result, segments };
}

/** The first value that a segment's rows may have. A plain timestamp may be off by its zone: open it a day early. */
function notBefore(source: SourceTable, day: DayUtc): bigint {
  return dayStart(source.zone === null ? day : addDays(day, -1)) - POSTGRES_EPOCH_MICROS;
}

function neverRun(pipeline: string): FirnlineError {
  return new FirnlineError({
    code: "E_CATALOG",
    subject: `pipeline ${pipeline}`,
    problem: "it has never run here, so nothing says what its archive holds",
    hint: "Run `firnline run` first, or connect to the database that it runs on",
  });
}
