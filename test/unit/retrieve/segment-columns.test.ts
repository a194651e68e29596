/** Ten years of daily segments: every manifest is read once, some at a time, and few column lists are kept (I10). */
import { describe, expect, it } from "vitest";

import { manifestLocator } from "../../../src/archive/locators.ts";
import type { Archive } from "../../../src/archive/port.ts";
import type { ReadableSegment } from "../../../src/catalog/port.ts";
import type { Progress } from "../../../src/environment.ts";
import { KeptManifests } from "../../../src/retrieve/kept-manifests.ts";
import { SegmentColumns } from "../../../src/retrieve/segment-columns.ts";
import { addDays, type DayUtc, formatDay, parseDay } from "../../../src/rows/day.ts";
import { toHex } from "../../../src/rows/hex.ts";
import { encodeManifest, type Manifest } from "../../../src/segment/manifest.ts";
import { hashOf, newHash, sampleManifest } from "../segment/sample-manifest.ts";

const FIRST = parseDay("2016-01-01");
const FINGERPRINT = hashOf("fingerprint");
const [ID, TS] = sampleManifest().columns as [Manifest["columns"][number], Manifest["columns"][number]];
const NARROW = { ...ID, type: "integer", kind: "int4" } as const;

/** An archive that holds manifests and nothing else, and counts how they are read. */
class Manifests {
  readonly #bytes = new Map<string, Uint8Array>();
  reads = 0;
  mostAtOnce = 0;
  #atOnce = 0;

  add(index: number, changes: Parameters<typeof sampleManifest>[0], ofDay = index): ReadableSegment {
    const segment = `${String(index).padStart(12, "0")}-0123456789abcdef`;
    const day = addDays(FIRST, ofDay) as DayUtc;
    const bytes = encodeManifest(sampleManifest({ segment, dayFrom: formatDay(day), ...changes }));
    const sha256 = toHex(newHash().update(bytes).digest());
    const record = {
      segment,
      rule: "default",
      dayFrom: day,
      dayTo: day,
      object: null,
      manifest: { versionId: null, etag: null, sha256, bytes: BigInt(bytes.length) },
    } as unknown as ReadableSegment["record"];
    this.#bytes.set(manifestLocator("audit_logs", record).key, bytes);
    return { record, prunedChunks: null };
  }

  readonly archive = {
    read: (locator: { key: string }) => this.#read(locator.key),
  } as unknown as Archive;

  async *#read(key: string): AsyncGenerator<Uint8Array> {
    this.reads += 1;
    this.#atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    await new Promise(setImmediate);
    this.#atOnce -= 1;
    const bytes = this.#bytes.get(key);
    if (bytes === undefined) throw new Error(`no ${key}`);
    yield bytes;
  }
}

function columnsOf(manifests: Manifests, report: (progress: Progress) => void = () => {}): SegmentColumns {
  const { signal } = new AbortController();
  const { archive } = manifests;
  const reader = { archive, newHash, pipeline: "audit_logs", signal };
  return new SegmentColumns({
    manifests: new KeptManifests(reader),
    signal,
    fingerprint: FINGERPRINT,
    report,
  });
}

describe("the columns of many segments", () => {
  it("are read once each, some manifests at a time, and told as they come", async () => {
    const manifests = new Manifests();
    const segments = Array.from({ length: 60 }, (_, index) => manifests.add(index, {}));
    const reported: Progress[] = [];
    const columns = columnsOf(manifests, (progress) => reported.push(progress));
    await columns.read(segments.slice(0, 40));
    await columns.read(segments);
    expect(manifests).toMatchObject({ reads: 60, mostAtOnce: 16 });
    expect(reported.map(({ rows }) => Number(rows))).toEqual([
      ...Array.from({ length: 40 }, (_, at) => at + 1),
      ...Array.from({ length: 20 }, (_, at) => at + 1),
    ]);
    expect(reported[0]).toMatchObject({ stage: "columns", subject: "40 segments" });
  });

  it.each([
    [3_000_000, 2],
    [9_000_000, 1],
  ])("are read fewer at a time where a manifest has %d bytes: %d", async (bytes, readers) => {
    const manifests = new Manifests();
    const segments = Array.from({ length: 6 }, (_, index) => manifests.add(index, {}));
    const { record } = manifests.add(7, { writer: "x".repeat(bytes) });
    await columnsOf(manifests).read([...segments, { record, prunedChunks: null }]);
    expect(manifests.mostAtOnce).toBe(readers);
  });

  it("are kept once for each distinct list, in the order of days, whatever the order of segments", async () => {
    const manifests = new Manifests();
    const segments = Array.from({ length: 30 }, (_, index) =>
      manifests.add(index, {
        columns: index < 10 ? [NARROW, TS] : [ID, { ...TS, attnum: index }],
        fingerprint: index === 20 ? hashOf("another definition") : FINGERPRINT,
      }),
    );
    const columns = columnsOf(manifests);
    await columns.read(segments.toReversed());
    const found = columns.of(segments.toReversed());
    expect(found).toMatchObject([
      {
        key: ["id"],
        time: "ts",
        segments: 10,
        isCurrent: true,
        examples: [0, 1, 2].map((day) => ({ day: formatDay(addDays(FIRST, day)) })),
      },
      { segments: 20, isCurrent: false, examples: { length: 3 } },
    ]);
    expect(found.map(({ columns: [id] }) => id?.type)).toEqual(["integer", "bigint"]);
    // Rows that came late: a younger segment of an older day.
    const late = manifests.add(31, { columns: [ID, { ...TS, type: "timestamp(3) with time zone" }] }, 5);
    await columns.read([late]);
    expect(columns.of([...segments, late]).map(({ segments: count }) => count)).toEqual([10, 1, 20]);
    expect(columns.of(segments.slice(12, 15))).toMatchObject([{ segments: 3, isCurrent: true }]);
    expect(columns.of(segments.slice(12, 14))[0]?.columns).toBe(found[1]?.columns);
  });

  it("of a segment that was not looked at are a bug, not an answer without it", () => {
    const manifests = new Manifests();
    expect(() => columnsOf(manifests).of([manifests.add(1, {})])).toThrow(/^E_INTERNAL segment 000000000001/);
  });

  it("stop being read at the first manifest that is not the one that the catalog names", async () => {
    const manifests = new Manifests();
    const segments = Array.from({ length: 200 }, (_, index) => manifests.add(index, {}));
    const damaged = manifests.add(3, { writer: "somebody else" });
    await expect(columnsOf(manifests).read(segments)).rejects.toMatchObject({ code: "E_VERIFY" });
    expect(damaged.record.segment).toBe(segments[3]?.record.segment);
    expect(manifests.reads).toBeLessThan(40);
  });
});
