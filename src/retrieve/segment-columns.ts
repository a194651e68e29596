/**
 * Which columns the segments of a range have. That must be known before the answer's first row, so every manifest is
 * looked at here for its columns, of which each distinct list is kept once (ten years of daily segments have a handful),
 * and again when its rows are due (`kept-manifests.ts`). Manifests are never cold, so this comes before a restore is paid
 * for.
 */
import type { ReadableSegment } from "../catalog/port.ts";
import { checkpoint, type Progress } from "../environment.ts";
import { invariant } from "../errors.ts";
import { formatDay } from "../rows/day.ts";
import type { KeptManifests } from "./kept-manifests.ts";
import type { ArchivedColumns } from "./united-columns.ts";

type ColumnList = Pick<ArchivedColumns, "columns" | "time" | "key">;

export interface SegmentColumnsOptions {
  readonly manifests: Pick<KeptManifests, "look">;
  readonly signal: AbortSignal;
  /** Of the table's definition now; see `SourceTable`. */
  readonly fingerprint: string;
  readonly report: (progress: Progress) => void;
}

/** Manifests that are read at the same time: a day of millions of rows has one of several megabytes (I10). */
const READERS_MAX = 16;
const READING_BYTES_MAX = 8 * 1024 * 1024;
const EXAMPLES_MAX = 3;

export class SegmentColumns {
  readonly #options: SegmentColumnsOptions;
  readonly #lists = new Map<string, ColumnList>();
  readonly #known = new Map<string, { readonly list: ColumnList; readonly isCurrent: boolean }>();

  constructor(options: SegmentColumnsOptions) {
    this.#options = options;
  }

  /** Reads the manifests of those segments that it does not know yet; they may be of any class. */
  async read(segments: readonly ReadableSegment[]): Promise<void> {
    const { report, signal } = this.#options;
    const unknown = segments.filter(({ record }) => !this.#known.has(record.segment));
    const subject = `${unknown.length} segments`;
    let next = 0;
    let done = 0n;
    let failed = false;
    const reader = async (): Promise<void> => {
      for (let at = next; at < unknown.length && !failed; at = next) {
        next += 1;
        checkpoint(signal);
        await this.#add(unknown[at] as ReadableSegment);
        done += 1n;
        report({ stage: "columns", subject, rows: done, bytes: 0n });
      }
    };
    const readers = Array.from({ length: readersFor(unknown) }, async () => {
      await reader().catch((error: unknown) => {
        failed = true;
        throw error;
      });
    });
    // All of them have stopped before the first error is told: nobody reads on behind the caller's back.
    for (const result of await Promise.allSettled(readers)) {
      if (result.status === "rejected") throw result.reason;
    }
  }

  /** The distinct lists of these segments, which were read before, in the order of their days. */
  of(segments: readonly ReadableSegment[]): ArchivedColumns[] {
    const groups = new Map<
      ColumnList,
      { examples: ArchivedColumns["examples"][number][]; segments: number; isCurrent: boolean }
    >();
    const ordered = segments.toSorted(
      ({ record: left }, { record: right }) =>
        left.dayFrom - right.dayFrom || (left.segment < right.segment ? -1 : 1),
    );
    for (const { record } of ordered) {
      const known = this.#known.get(record.segment);
      invariant(known !== undefined, `segment ${record.segment}`, "its manifest was not looked at");
      const group = groups.get(known.list) ?? { examples: [], segments: 0, isCurrent: true };
      groups.set(known.list, group);
      if (group.examples.length < EXAMPLES_MAX)
        group.examples.push({ segment: record.segment, day: formatDay(record.dayFrom) });
      group.segments += 1;
      group.isCurrent &&= known.isCurrent;
    }
    return [...groups].map(([list, group]) => ({ ...list, ...group }));
  }

  async #add(segment: ReadableSegment): Promise<void> {
    const { columns, fingerprint, key, time } = await this.#options.manifests.look(segment.record);
    const list: ColumnList = { columns, key, time: time.column };
    // The number of an attribute changes with a restore of the table, and says nothing here.
    const text = JSON.stringify([list.time, key, columns.map((column) => ({ ...column, attnum: 0 }))]);
    const same = this.#lists.get(text) ?? list;
    this.#lists.set(text, same);
    this.#known.set(segment.record.segment, {
      list: same,
      isCurrent: fingerprint === this.#options.fingerprint,
    });
  }
}

/** As many as hold no more than the bytes allowed, if all of them should meet the largest manifest; at least one. */
function readersFor(segments: readonly ReadableSegment[]): number {
  const largest = segments.reduce(
    (most, { record }) => Math.max(most, Number(record.manifest?.bytes ?? 0)),
    1,
  );
  return Math.max(1, Math.min(READERS_MAX, Math.floor(READING_BYTES_MAX / largest)));
}
