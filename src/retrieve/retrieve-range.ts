/**
 * retrieve: all rows of a range of time, from wherever they are now, or a refusal (I8).
 *
 * Cold segments are restored first. Then, within one snapshot, the catalog says which chunks are not in the table any
 * more, and all hot rows of the range are spooled. Hot is always read for the whole range; an archived chunk is added
 * only where the catalog says pruned. So a row that is moved while we look is seen exactly once, and a row that came
 * late is seen too (hazard 1).
 */
import type { ReadableSegment } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import type { Column } from "../rows/column.ts";
import {
  addDays,
  type DayUtc,
  dayOf,
  dayStart,
  type EpochMicros,
  formatInstant,
  POSTGRES_EPOCH_MICROS,
} from "../rows/day.ts";
import { bytesEqual } from "../rows/hex.ts";
import { decodeNumeric, numericToText } from "../rows/numeric.ts";
import { checkpoint, type Environment, timestamp } from "../environment.ts";
import { readArchived } from "./archived-rows.ts";
import { ndjsonRow } from "./formats/ndjson.ts";
import { type LazySource, type MergeCounts, mergeRows } from "./merge.ts";
import { OutputFile } from "./output-file.ts";
import type { Filter, RangeRequest } from "./request.ts";
import { restoreSegments } from "./restore.ts";
import { RowCursor } from "./row-cursor.ts";
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
}

const RESTORE_ROUNDS_MAX = 3;
const REPORT_EVERY = 10_000n;

export async function retrieveRange<Tx>(
  environment: Environment<Tx>,
  options: RetrieveOptions,
): Promise<RetrieveResult> {
  const { catalog, clock, hot, newUuid, policy } = environment;
  const source = await hot.describe();
  if ((await catalog.pipeline(policy.pipeline)) === null) throw neverRun(policy.pipeline);
  const filters = await prepareFilters(environment, source, options.request.where);
  const retrieval = { retrieval: newUuid(), requestedBy: options.requestedBy, ...options.request };
  await catalog.startRetrieval(policy.pipeline, retrieval);
  try {
    const result = await answer(environment, source, filters, options, retrieval.retrieval);
    await catalog.finishRetrieval(policy.pipeline, retrieval, result, timestamp(clock));
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
): Promise<RetrieveResult> {
  const { archive, catalog, newHash, policy } = environment;
  const { pipeline } = policy;
  const { request, signal } = options;
  const dayFrom = dayOf(request.from);
  const dayTo = dayOf((request.to - 1n) as EpochMicros);
  await using spool = await Spool.open(options.temporary, newHash, source.columns.length);
  // The file is made before the long work, so that a wrong name is known at once.
  await using out = await OutputFile.open(options.out, retrieval, newHash);
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
        return found;
      },
      async (chunks) => await spool.write(chunks),
    );
    if (first !== null) {
      segments = first;
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
  const sha256 = await out.complete();
  return {
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
  };
}

/** The first value that a segment's rows may have. A plain timestamp may be off by its zone: open it a day early. */
function notBefore(source: SourceTable, day: DayUtc): bigint {
  return dayStart(source.zone === null ? day : addDays(day, -1)) - POSTGRES_EPOCH_MICROS;
}

type PreparedFilter = (row: RowCursor) => boolean;

async function prepareFilters<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  where: readonly Filter[],
): Promise<PreparedFilter[]> {
  const filters: PreparedFilter[] = [];
  for (const { column: name, value } of where) {
    const index = source.columns.findIndex((column) => column.name === name);
    const column = source.columns[index];
    if (column === undefined) {
      throw new FirnlineError({
        code: "E_INPUT",
        subject: `--where ${name}`,
        problem: `there is no such column (found ${source.columns.map((one) => one.name).join(", ")})`,
        hint: "Check its spelling; names are case-sensitive",
      });
    }
    const wanted = await environment.hot.encodeValue(source, column, value);
    filters.push((row) => !row.isNull(index) && sameValue(column, row.field(index), wanted));
  }
  return filters;
}

/** Equality as Postgres has it for the fields that occur: bytes, but a numeric's trailing zeros do not count. */
function sameValue(column: Column, field: Uint8Array, wanted: Uint8Array): boolean {
  if (column.kind !== "numeric" && column.kind !== "decimal") return bytesEqual(field, wanted);
  const [left, right] = [field, wanted].map((bytes) => {
    const parts = decodeNumeric(bytes, 0, bytes.length);
    return parts === null
      ? null
      : numericToText(parts)
          .replace(/(\.\d*?)0+$/, "$1")
          .replace(/\.$/, "");
  });
  return left !== null && left === right;
}

function neverRun(pipeline: string): FirnlineError {
  return new FirnlineError({
    code: "E_CATALOG",
    subject: `pipeline ${pipeline}`,
    problem: "it has never run here, so nothing says what its archive holds",
    hint: "Run `firnline run` first, or connect to the database that it runs on",
  });
}
