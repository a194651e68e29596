/** Row groups decoded in threads: what comes back is what this thread would have decoded, and failures come back too. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import {
  type DecodedGroup,
  decodeGroup,
  type GroupJob,
  groupJob,
} from "../../../src/parquet/decode-group.ts";
import { DecodePool } from "../../../src/parquet/decode-pool.ts";
import { readIndex } from "../../../src/parquet/read-index.ts";
import { RawColumnWriter, type RawRows } from "../../../src/rows/copy-binary.ts";
import { columnOf, encodeSegment, layoutOf, type SegmentBytes } from "../../support/segment-bytes.ts";

const columns = [columnOf("id", "int8"), columnOf("note", "text")];

/** Ids upwards from `first`, each with a text. */
function rowsFrom(first: number, rows: number): RawRows {
  const [ids, notes] = [new RawColumnWriter(), new RawColumnWriter()];
  for (let id = first; id < first + rows; id += 1) {
    const place = ids.reserve(8);
    place.view.setBigInt64(place.at, BigInt(id));
    notes.field(new TextEncoder().encode(`note ${id}`));
  }
  return { rows, columns: [ids.take(), notes.take()] };
}

let segment: SegmentBytes;
let pool: DecodePool;
beforeEach(async () => {
  segment = await encodeSegment(columns, [[rowsFrom(0, 50), rowsFrom(50, 7)], [rowsFrom(57, 90)]]);
  pool = new DecodePool({ threads: 2, threadBytesMin: 0, heapMibMax: 512 });
});
afterEach(async () => await pool[Symbol.asyncDispose]());

async function jobOf(number: number, changes: Partial<GroupJob> = {}): Promise<GroupJob> {
  const { manifest, bytes } = segment;
  const layout = await layoutOf(segment);
  const group = layout.rowGroups[number] as (typeof layout.rowGroups)[number];
  const index = readIndex(manifest, layout, bytes.slice(Number(manifest.index?.start)));
  return {
    ...groupJob(manifest, group, {
      index: index.rowGroups[number] ?? null,
      bytes: bytes.slice(group.start, group.end),
      wantsRows: true,
    }),
    ...changes,
  };
}

const here = async (job: GroupJob): Promise<DecodedGroup> =>
  await decodeGroup(() => createHash("sha256"), job);

describe("a pool of threads", () => {
  it("decodes as this thread does, rows, digests and the proof of the index", async () => {
    for (const number of [0, 1]) {
      const expected = await here(await jobOf(number));
      expect(expected.problem).toBeNull();
      expect(expected.chunks.map(({ rows }) => rows)).toEqual(number === 0 ? [50, 7] : [90]);
      expect(await pool.decode(await jobOf(number))).toEqual(expected);
    }
  });

  it("sends digests alone where no rows are wanted", async () => {
    const { chunks } = await pool.decode(await jobOf(0, { wantsRows: false }));
    const expected = (await here(await jobOf(0))).chunks.map((chunk) => ({ ...chunk, columns: [] }));
    expect(chunks).toEqual(expected);
  });

  it("says what an index says wrongly", async () => {
    const job = await jobOf(0);
    const [ids, ...others] = job.index ?? [];
    const lying = { ...job, index: [{ ...(ids as NonNullable<typeof ids>), nulls: 3 }, ...others] };
    const expected = await here({ ...lying, bytes: lying.bytes.slice() });
    expect(expected.problem).toContain("column id is wrong");
    expect((await pool.decode(lying)).problem).toBe(expected.problem);
  });

  it("has all jobs done that come at once, with fewer threads than jobs", async () => {
    const jobs = await Promise.all(Array.from({ length: 9 }, async (_, at) => await jobOf(at % 2)));
    const expected = await Promise.all([here(await jobOf(0)), here(await jobOf(1))]);
    const found = await Promise.all(jobs.map(pool.decode));
    for (const [at, decoded] of found.entries()) expect(decoded).toEqual(expected[at % 2]);
  });

  it("refuses damaged pages in the same words, and goes on", async () => {
    const damaged = async (): Promise<GroupJob> => {
      const job = await jobOf(0);
      job.bytes.fill(0xff, 20, 60);
      return job;
    };
    const refusal = await here(await damaged()).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "E_FORMAT" });
    const { code, subject, problem, hint } = refusal as Record<string, string>;
    await expect(pool.decode(await damaged())).rejects.toMatchObject({ code, subject, problem, hint });
    expect((await pool.decode(await jobOf(0))).problem).toBeNull();
  });

  it.each([
    ["cannot be sent", { index: [() => {}] }],
    ["breaks the decoder", { group: null }],
  ])("says which object it was at when a job %s, and goes on", async (_, changes) => {
    const job = await jobOf(0, changes as unknown as Partial<GroupJob>);
    await expect(pool.decode(job)).rejects.toMatchObject({
      code: "E_INTERNAL",
      subject: segment.manifest.object.key,
    });
    expect((await pool.decode(await jobOf(1))).problem).toBeNull();
  });

  it("leaves small row groups to this thread", async () => {
    await using small = new DecodePool({ threads: 2, threadBytesMin: 1024 * 1024, heapMibMax: 512 });
    const job = await jobOf(0);
    expect((await small.decode(job)).problem).toBeNull();
    // What is sent to another thread is gone here.
    expect(job.bytes.length).toBeGreaterThan(0);
    await pool.decode(job);
    expect(job.bytes.length).toBe(0);
  });
});
