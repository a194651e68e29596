/** The contract of `read`: all of the bytes asked for or an error, and no handle left open. */
import { beforeEach, describe, expect, test } from "vitest";

import type { Archive } from "../../../src/archive/port.ts";
import {
  type ArchiveHarness,
  at,
  bytesOf,
  created,
  expectBytes,
  failureOf,
  KEY,
  MIB,
  patterned,
  readAll,
  sha256,
  type StoreAbilities,
} from "./harness.ts";

/** Declares the tests; `subject` gives the harness that the suite has made for the test at hand. */
export function describeRead(subject: () => ArchiveHarness, can: StoreAbilities): void {
  let harness: ArchiveHarness;
  let archive: Archive;
  beforeEach(() => {
    harness = subject();
    ({ archive } = harness);
  });

  describe("read", () => {
    const SIZE = 2 * MIB + 123;
    const whole = patterned(SIZE);

    test.each([
      [0, SIZE],
      [0, 1],
      [0, 0],
      [SIZE, SIZE],
      [SIZE - 1, SIZE],
      [1, SIZE - 1],
      [MIB - 1, MIB + 1],
      [262_143, 524_289],
      [777, 777],
    ])("yields exactly the bytes [%i, %i)", async (start, end) => {
      const pin = await created(archive, KEY, whole);
      expectBytes(await readAll(archive, pin, { start, end }), whole.subarray(start, end));
    });

    test("a range beyond the end is an error, not fewer bytes", async () => {
      const pin = await created(archive, KEY, bytesOf("0123456789"));
      for (const range of [
        { start: 0, end: 11 },
        { start: 11, end: 11 },
        { start: 9, end: 5000 },
      ]) {
        const failure = await failureOf(readAll(archive, pin, range));
        expect(failure).toMatchObject({
          code: "E_ARCHIVE",
          retryable: false,
          op: "archive.read",
          key: KEY,
        });
      }
    });

    test("a range that is none is an error of ours", async () => {
      const pin = await created(archive, KEY, bytesOf("0123456789"));
      for (const [start, end] of [
        [-1, 3],
        [4, 3],
        [0.5, 3],
        [0, Number.NaN],
      ] as const) {
        expect((await failureOf(readAll(archive, pin, { start, end }))).code).toBe("E_INTERNAL");
      }
    });

    test("a truncated object fails the range of its pin", async () => {
      const pin = await created(archive, KEY, whole);
      await harness.corrupt(KEY, (bytes) => bytes.slice(0, -1));
      if (!can.corrupts) {
        expectBytes(await readAll(archive, pin, { start: 0, end: Number(pin.bytes) }), whole);
        return;
      }
      const failure = await failureOf(readAll(archive, pin, { start: 0, end: Number(pin.bytes) }));
      expect(failure.code).toBe("E_ARCHIVE");
      expect((await archive.head(pin))?.bytes).toBe(pin.bytes - 1n);
    });

    test("changed bytes are what is read: the caller compares with the pin", async () => {
      const pin = await created(archive, KEY, whole);
      await harness.corrupt(KEY, (bytes) => bytes.with(5, (bytes[5] as number) ^ 1));
      const found = sha256(await readAll(archive, pin));
      if (can.corrupts) expect(found).not.toBe(pin.sha256);
      else expect(found).toBe(pin.sha256); // what was put over it is another version
    });

    test("chunks stay what they were when more is read", async () => {
      await created(archive, KEY, whole);
      const chunks = await Array.fromAsync(archive.read(at(KEY)));
      expect(chunks.length).toBeGreaterThan(1);
      expectBytes(Buffer.concat(chunks), whole);
    });

    test("leaving the loop early frees the handle", async () => {
      await created(archive, KEY, whole);
      for await (const chunk of archive.read(at(KEY))) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        break;
      }
      const thrown = (async () => {
        for await (const _ of archive.read(at(KEY))) throw new RangeError("reader broke");
      })();
      await expect(thrown).rejects.toThrow("reader broke");
      expect(harness.openHandles?.() ?? 0).toBe(0);
    });

    test("an abort stops the loop and frees the handle, even if nobody asks for more", async () => {
      await created(archive, KEY, whole);
      const controller = new AbortController();
      const reading = archive.read(at(KEY), undefined, controller.signal)[Symbol.asyncIterator]();
      expect((await reading.next()).done).toBe(false);
      controller.abort();
      await expect.poll(() => harness.openHandles?.() ?? 0).toBe(0);
      expect((await failureOf(reading.next())).code).toBe("E_INTERRUPTED");
      expect((await reading.next()).done).toBe(true);
    });

    test("20 readers at once read the same", async () => {
      await created(archive, KEY, whole);
      const all = await Promise.all(Array.from({ length: 20 }, () => readAll(archive, at(KEY))));
      for (const one of all) expect(sha256(one)).toBe(sha256(whole));
    });
  });
}
