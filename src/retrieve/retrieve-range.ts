/**
 * retrieve: all rows of a range of time, from wherever they are now, or a refusal (I8).
 *
 * Cold segments are restored first. Then, within one snapshot, the catalog says which chunks are not in the table any
 * more, and all hot rows of the range are spooled (`take-snapshot.ts`). Hot is always read for the whole range; an
 * archived chunk is added only where the catalog says pruned. So a row that is moved while we look is seen exactly once,
 * and a row that came late is seen too (hazard 1). Rows of several definitions of the table get the same columns
 * (`united-columns.ts`).
 */
import { objectLocator } from "../archive/locators.ts";
import type { ReadableSegment } from "../catalog/port.ts";
import type { SourceTable } from "../hot/port.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import {
  addDays,
  dayOf,
  type DayUtc,
  dayStart,
  type EpochMicros,
  formatInstant,
  POSTGRES_EPOCH_MICROS,
} from "../rows/day.ts";
import { checkpoint, type Environment, timestamp } from "../environment.ts";
import { OpenedAhead } from "./ahead.ts";
import { mapRows, readArchived, type WantedDays } from "./archived-rows.ts";
import { evidenceText } from "./evidence.ts";
import { type AnswerFormat, newAnswerWriter } from "./formats/answer-format.ts";
import { KeptManifests } from "./kept-manifests.ts";
import type { RowRun } from "./indexed-rows.ts";
import { type MergeCounts, mergeRows } from "./merge.ts";
import { evidencePath, OutputFile, requireReplaceable } from "./output-file.ts";
import { patientArchive } from "./patient-archive.ts";
import type { RangeRestore } from "./rehydrate.ts";
import { Restorer } from "./restore.ts";
import { requireRetrievable } from "./retrievable.ts";
import { findRemovedDays, rowsExpired } from "./removed-days.ts";
import { RowCursor } from "./row-cursor.ts";
import { Spool } from "./spool.ts";
import { takeSnapshot } from "./take-snapshot.ts";
import { intoUnited } from "./united-columns.ts";
import { wantedRows } from "./wanted-rows.ts";

export interface RetrieveOptions extends RangeRestore {
  readonly out: string;
  readonly format: AnswerFormat;
  /** Folder for the spool of hot rows. */
  readonly temporary: string;
}

export interface RetrieveResult {
  readonly retrieval: string;
  /** RFC 3339; the answer holds `from <= time < to`. */
  readonly from: string;
  readonly to: string;
  readonly format: AnswerFormat;
  readonly rows: bigint;
  /** Where the given rows came from. */
  readonly rowsFrom: { readonly hot: bigint; readonly warm: bigint; readonly cold: bigint };
  readonly segments: readonly string[];
  readonly restored: number;
  /** Of rows that were asked for: identical ones from two places, given out once; and those of one key that differ. */
  readonly collapsed: bigint;
  readonly conflicting: bigint;
  /** Rows of the range's days that expired by the policy before: no answer has them any more. */
  readonly expired: bigint;
  readonly sha256: string;
  readonly bytes: bigint;
  /** File that says what the answer was made of; see `evidence.ts`. */
  readonly evidence: string;
}

const REPORT_EVERY = 10_000n;
/** Segments that are looked into while the one before is given out, where there are filters. */
const FILTERED_AHEAD = 6;

export async function retrieveRange<Tx>(
  environment: Environment<Tx>,
  options: RetrieveOptions,
): Promise<RetrieveResult> {
  const { catalog, clock, newHash, newUuid, policy, writer } = environment;
  const { source, pipeline } = await requireRetrievable(environment);
  const retrieval = { retrieval: newUuid(), requestedBy: options.requestedBy, ...options.request };
  await catalog.startRetrieval(policy.pipeline, retrieval);
  try {
    await requireReplaceable(options.out);
    // Both files are made before the long work, so that a name that cannot be written is known at once.
    await using out = await OutputFile.open(options.out, retrieval.retrieval, newHash);
    await using evidence = await OutputFile.open(evidencePath(options.out), retrieval.retrieval, newHash);
    const { segments, manifests, ...answered } = await answer(
      environment,
      source,
      options,
      retrieval.retrieval,
      out,
    );
    const removed = await findRemovedDays(environment, options.request, segments);
    const result = { ...answered.result, expired: rowsExpired(removed) };
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
        objectHash: (record) => manifests.objectHash(record),
        removed,
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

interface Answered {
  readonly result: Omit<RetrieveResult, "expired">;
  readonly segments: readonly ReadableSegment[];
  readonly manifests: KeptManifests;
}

async function answer<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  options: RetrieveOptions,
  retrieval: string,
  out: OutputFile,
): Promise<Answered> {
  const { archive, decodeGroup, newHash, policy } = environment;
  const { pipeline } = policy;
  const { request, signal } = options;
  await using spool = await Spool.open(options.temporary, newHash, source.columns.length);
  const limits = await environment.hot.timeLimits(source, request);
  const { prices, requestedBy, terms } = options;
  const restorer = new Restorer({ ...environment, pipeline, requestedBy, retrieval, prices, terms, signal });
  const manifests = new KeptManifests({ archive, newHash, pipeline, signal });
  const { segments, united, filters } = await takeSnapshot(environment, {
    source,
    request,
    restorer,
    retrieval,
    spool,
    manifests,
    signal,
  });
  const tierOf = new Map(
    segments.map(({ record }) => [record.segment, record.state === "cold" ? "cold" : "warm"] as const),
  );
  const patient = patientArchive(archive, async (object, waiting) => {
    const cold = segments.find(({ record }) => objectLocator(pipeline, record).key === object.key);
    // The copies of what is still to be read may have ended with this one.
    const rest = segments.filter(({ record }) => record.dayTo >= (cold?.record.dayFrom ?? record.dayTo));
    await restorer.makeReadable(rest, waiting);
  });
  const isWanted = wantedRows(united.timeColumn, limits, filters);
  const wanted = { days: wantedDays(request), times: limits, filters };
  await using archived = new OpenedAhead(
    segments.map((segment) => ({
      notBefore: notBefore(source, segment.record.dayFrom),
      open: async (opened) => {
        const reader = { archive: patient, newHash, decodeGroup, pipeline, signal: opened };
        const manifest = await manifests.take(segment.record);
        const parts = await readArchived(reader, manifest, segment, united, wanted);
        return parts.map((rows) => new RowCursor(segment.record.segment, united, rows, isWanted));
      },
    })),
    // What a filter leaves of a segment is small, and its requests are what takes the time.
    filters.length > 0 ? FILTERED_AHEAD : 1,
    signal,
  );
  const sources = [...archived.sources];
  // Without a row the table need not have columns that can be united with the archived ones.
  if (spool.rows > 0n) {
    const hotRows = (): AsyncGenerator<RawRows> => mapRows(spool.read(), intoUnited(source.columns, united));
    sources.push({
      notBefore: limits.from,
      open: async () => [new RowCursor("hot", united, hotRows(), isWanted)],
    });
  }

  const counts: MergeCounts = { collapsed: 0n, conflicting: 0n };
  const rowsFrom = { hot: 0n, warm: 0n, cold: 0n };
  const writer = newAnswerWriter(options.format, united.columns, environment, {
    "firnline.pipeline": pipeline,
    "firnline.retrieval": retrieval,
  });
  let rows = 0n;
  let reported = 0n;
  await out.write(writer.header());
  const giveOut = async (runs: readonly RowRun[]): Promise<void> => {
    for (const run of runs) {
      for (let row = run.from; row < run.to;) {
        row = writer.take(run.rows, row, run.to);
        if (writer.isFull) await out.write(await writer.piece());
      }
      const count = BigInt(run.to - run.from);
      rowsFrom[run.origin === "hot" ? "hot" : (tierOf.get(run.origin) ?? "warm")] += count;
      rows += count;
      if (rows - reported >= REPORT_EVERY) {
        reported = rows;
        checkpoint(signal);
        environment.report({ stage: "read", subject: options.out, rows, bytes: out.bytes });
      }
    }
  };
  for await (const runs of mergeRows(sources, counts)) {
    await giveOut(runs).catch((error: unknown) => {
      // Before the cursors are closed, which waits for what they are at.
      archived.stop();
      throw error;
    });
  }
  checkpoint(signal);
  await out.write(await writer.end());
  const sha256 = await out.finish();
  const result = {
    retrieval,
    from: formatInstant(request.from),
    to: formatInstant(request.to),
    format: options.format,
    rows,
    rowsFrom,
    segments: segments.map(({ record }) => record.segment),
    restored: restorer.restored,
    ...counts,
    sha256,
    bytes: out.bytes,
    evidence: evidencePath(options.out),
  };
  return { result, segments, manifests };
}

function wantedDays({ from, to }: RetrieveOptions["request"]): WantedDays {
  return { dayFrom: dayOf(from), dayTo: dayOf((to - 1n) as EpochMicros) };
}

/** The first value that a segment's rows may have. A plain timestamp may be off by its zone: open it a day early. */
function notBefore(source: SourceTable, day: DayUtc): bigint {
  return dayStart(source.zone === null ? day : addDays(day, -1)) - POSTGRES_EPOCH_MICROS;
}
