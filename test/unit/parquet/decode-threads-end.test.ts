/** Threads that end: the row group that one was at fails, another one takes its place, and nobody waits for ever. */
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { type GroupJob, groupJob } from "../../../src/parquet/decode-group.ts";
import { DecodePool } from "../../../src/parquet/decode-pool.ts";
import { columnOf, encodeSegment, layoutOf, type SegmentBytes } from "../../support/segment-bytes.ts";
import { rawRows } from "../../support/copy-stream.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Every thread that was started, so that a test can end it. */
const threads = vi.hoisted((): Worker[] => []);
vi.mock("node:worker_threads", async (original) => {
  const real = await original<typeof import("node:worker_threads")>();
  class Counted extends real.Worker {
    constructor(...given: ConstructorParameters<typeof Worker>) {
      super(...given);
      threads.push(this as unknown as Worker);
    }
  }
  return { ...real, Worker: Counted };
});

let segment: SegmentBytes;
let pool: DecodePool;
beforeEach(async () => {
  threads.length = 0;
  segment = await encodeSegment([columnOf("note", "text")], [[rawRows(1, [[utf8("a")], [utf8("b")]])]]);
  pool = new DecodePool({ threads: 2, threadBytesMin: 0, heapMibMax: 256 });
});
afterEach(async () => await pool[Symbol.asyncDispose]());

async function newJob(changes: Partial<GroupJob> = {}): Promise<GroupJob> {
  const [group] = (await layoutOf(segment)).rowGroups;
  if (group === undefined) throw new Error("there is no row group");
  const bytes = segment.bytes.slice(group.start, group.end);
  return { ...groupJob(segment.manifest, group, { index: null, bytes, wantsRows: true }), ...changes };
}

/** A job whose message alone is more than a thread's heap may hold. */
async function largeJob(mib: number): Promise<GroupJob> {
  const job = await newJob();
  const texts = Array.from({ length: mib * 16 }, () => "x".repeat(65_536));
  return { ...job, manifest: { ...job.manifest, fingerprint: texts as unknown as string } };
}

const ENDED = {
  code: "E_CAPACITY",
  op: "parquet.decode",
  hint: "Nothing was deleted by this step. Give this process more memory, then run again",
};

describe("a thread that ends", () => {
  it("for want of memory is the failure of its row group, and the next one is decoded", async () => {
    await using small = new DecodePool({ threads: 1, threadBytesMin: 0, heapMibMax: 24 });
    await expect(small.decode(await largeJob(64))).rejects.toMatchObject({
      ...ENDED,
      subject: segment.manifest.object.key,
      problem: expect.stringMatching(/^a row group could not be decoded \(its thread ended: .*memory limit/),
    });
    expect((await small.decode(await newJob())).chunks).toMatchObject([{ rows: 2 }]);
    expect(threads).toHaveLength(2);
  });

  it("with an exit in the middle of its row group does no harm to the others that wait", async () => {
    await using one = new DecodePool({ threads: 1, threadBytesMin: 0, heapMibMax: 256 });
    const first = one.decode(await newJob());
    const others = [one.decode(await newJob()), one.decode(await newJob())];
    void threads[0]?.terminate();
    await expect(first).rejects.toMatchObject({
      ...ENDED,
      problem: expect.stringMatching(
        /^a row group could not be decoded \(its thread ended with code [01]\)$/,
      ),
    });
    for (const other of others) expect((await other).chunks).toMatchObject([{ rows: 2 }]);
    expect(threads).toHaveLength(2);
  });

  it("while it is idle is not asked any more", async () => {
    await pool.decode(await newJob());
    await threads[0]?.terminate();
    expect((await pool.decode(await newJob())).chunks).toMatchObject([{ rows: 2 }]);
    expect(threads).toHaveLength(2);
  });

  it("again and again is not replaced for ever", async () => {
    await using one = new DecodePool({ threads: 1, threadBytesMin: 0, heapMibMax: 256 });
    const jobs = await Promise.all(Array.from({ length: 12 }, async () => await newJob()));
    const decoding = Promise.allSettled(jobs.map(one.decode));
    let isOver = false;
    void decoding.then(() => (isOver = true));
    await vi.waitUntil(
      () => {
        for (const thread of threads) void thread.terminate();
        return isOver;
      },
      { timeout: 20_000, interval: 1 },
    );
    for (const result of await decoding) expect(result).toMatchObject({ status: "rejected", reason: ENDED });
    expect(threads.length).toBeLessThan(8);
    await expect(one.decode(await newJob())).rejects.toMatchObject({
      ...ENDED,
      problem: "a row group could not be decoded (4 threads ended one after the other)",
    });
  });
});

describe("a pool that is closed", () => {
  it("rejects what is under way and what waits, and takes no more", async () => {
    const closing = new DecodePool({ threads: 1, threadBytesMin: 0, heapMibMax: 256 });
    const decoding = [
      closing.decode(await newJob()),
      closing.decode(await newJob()),
      closing.decode(await newJob()),
    ];
    const settled = Promise.allSettled(decoding);
    await closing[Symbol.asyncDispose]();
    const interrupted = { code: "E_INTERRUPTED", op: "parquet.decode" };
    for (const result of await settled)
      expect(result).toMatchObject({ status: "rejected", reason: interrupted });
    await expect(closing.decode(await newJob())).rejects.toMatchObject(interrupted);
    expect(threads).toHaveLength(1);
  });
});
