/** The contract of `create`: exclusive, atomic, streamed, and nothing left of what fails (I3). */
import { createHash } from "node:crypto";

import { beforeEach, describe, expect, test } from "vitest";

import { FirnlineError } from "../../../src/errors.ts";
import type { Archive } from "../../../src/archive/port.ts";
import {
  type ArchiveHarness,
  at,
  bytesOf,
  created,
  expectBytes,
  failureOf,
  inChunks,
  KEY,
  keysOf,
  MIB,
  patterned,
  readAll,
  sha256,
} from "./harness.ts";

/** Declares the tests; `subject` gives the harness that the suite has made for the test at hand. */
export function describeCreate(subject: () => ArchiveHarness): void {
  let archive: Archive;
  beforeEach(() => {
    ({ archive } = subject());
  });

  describe("create", () => {
    test("pins size and SHA-256, and the object is there", async () => {
      const body = bytesOf("PAR1 one row PAR1");
      const pin = await created(archive, KEY, body);
      expect(pin).toMatchObject({ key: KEY, sha256: sha256(body), bytes: BigInt(body.byteLength) });
      expect(await readAll(archive, pin)).toEqual(body);
      expect(await archive.head(pin)).toEqual({
        key: KEY,
        versionId: pin.versionId,
        etag: pin.etag,
        bytes: pin.bytes,
        storageClass: "STANDARD",
        access: { state: "readable", until: null },
        tags: {},
        retention: null,
        isHeld: false,
      });
    });

    test("takes the storage class", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "GLACIER_IR");
      expect((await archive.head(pin))?.storageClass).toBe("GLACIER_IR");
    });

    test("says exists and changes nothing the second time", async () => {
      const pin = await created(archive, KEY, bytesOf("first"), "STANDARD_IA");
      await archive.tag(pin, { a: "1" });
      const before = await archive.head(pin);
      expect(await archive.create(KEY, bytesOf("second"))).toEqual({ outcome: "exists" });
      expect(await archive.create(KEY, bytesOf("first"))).toEqual({ outcome: "exists" });
      expect(await readAll(archive, pin)).toEqual(bytesOf("first"));
      expect(await archive.head(pin)).toEqual(before);
    });

    test("of 20 creators at once exactly one wins, and the content is the winner's", async () => {
      const bodies = Array.from({ length: 20 }, (_, index) => patterned(100_000 + index, index));
      const results = await Promise.all(
        bodies.map((body, index) => archive.create(KEY, index % 2 === 0 ? body : inChunks(body, 8192))),
      );
      const winners = results.flatMap((result, index) => (result.outcome === "created" ? [index] : []));
      expect(winners).toHaveLength(1);
      expectBytes(await readAll(archive, at(KEY)), bodies[winners[0] as number] as Uint8Array);
      expect(results.filter(({ outcome }) => outcome === "exists")).toHaveLength(19);
      expect(await Array.fromAsync(archive.listVersions(KEY))).toHaveLength(1);
    });

    test("stores an empty object, from bytes and from a stream", async () => {
      const empty = await created(archive, "a/empty", new Uint8Array(0));
      expect(empty).toMatchObject({ bytes: 0n, sha256: sha256(new Uint8Array(0)) });
      const stream = await archive.create("a/stream", inChunks(new Uint8Array(0), 1));
      expect(stream.outcome).toBe("created");
      expect(await readAll(archive, empty)).toHaveLength(0);
      expect((await archive.head(at("a/stream")))?.bytes).toBe(0n);
    });

    test("streams 20 MiB, pulling one chunk after the other from a buffer that is used again", async () => {
      const whole = patterned(20 * MIB + 17);
      const reused = new Uint8Array(300_000);
      let inFlight = 0;
      async function* body(): AsyncGenerator<Uint8Array> {
        for (let start = 0; start < whole.byteLength; start += reused.byteLength) {
          expect(++inFlight).toBe(1);
          const part = whole.subarray(start, start + reused.byteLength);
          reused.set(part);
          yield reused.subarray(0, part.byteLength);
          reused.fill(0);
          inFlight--;
        }
      }
      const result = await archive.create(KEY, body());
      expect(result).toMatchObject({ outcome: "created", pin: { sha256: sha256(whole) } });
      let largest = 0;
      const hash = createHash("sha256");
      for await (const chunk of archive.read(at(KEY))) {
        largest = Math.max(largest, chunk.byteLength);
        hash.update(chunk);
      }
      expect(hash.digest("hex")).toBe(sha256(whole));
      expect(largest).toBeLessThanOrEqual(MIB);
    });

    test("takes zero-length chunks and one chunk of many MiB", async () => {
      const large = patterned(5 * MIB + 1);
      async function* body(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(0);
        yield large;
        yield new Uint8Array(0);
      }
      expect(await archive.create(KEY, body())).toMatchObject({ pin: { sha256: sha256(large) } });
    });

    test("a body that throws leaves nothing, and its error comes out unchanged", async () => {
      const fault = new RangeError("the cursor broke");
      async function* body(): AsyncGenerator<Uint8Array> {
        yield patterned(MIB);
        throw fault;
      }
      await expect(archive.create(KEY, body())).rejects.toBe(fault);
      expect(await archive.head(at(KEY))).toBeNull();
      expect(await keysOf(archive)).toEqual([]);
      expect((await archive.create(KEY, bytesOf("again"))).outcome).toBe("created");
    });

    test("a body of something that is not bytes is refused, and closed", async () => {
      let closed = false;
      async function* body(): AsyncGenerator<Uint8Array> {
        try {
          yield "text" as unknown as Uint8Array;
        } finally {
          await new Promise((resolve) => setTimeout(resolve, 5));
          closed = true;
        }
      }
      expect((await failureOf(archive.create(KEY, body()))).code).toBe("E_INTERNAL");
      expect(closed).toBe(true);
      expect(await archive.head(at(KEY))).toBeNull();
    });

    test("an abort before, between chunks and while the body hangs leaves nothing", async () => {
      const before = AbortSignal.abort();
      const refused = await failureOf(archive.create(KEY, bytesOf("x"), { signal: before }));
      expect(refused).toMatchObject({ code: "E_INTERRUPTED", retryable: true });

      const between = new AbortController();
      async function* slow(): AsyncGenerator<Uint8Array> {
        yield patterned(MIB);
        between.abort();
        yield patterned(MIB);
      }
      const stopped = await failureOf(archive.create(KEY, slow(), { signal: between.signal }));
      expect(stopped.code).toBe("E_INTERRUPTED");

      const during = new AbortController();
      async function* hung(): AsyncGenerator<Uint8Array> {
        yield patterned(10);
        setTimeout(() => during.abort(), 5);
        await new Promise(() => {});
      }
      const freed = await failureOf(archive.create(KEY, hung(), { signal: during.signal }));
      expect(freed.code).toBe("E_INTERRUPTED");
      expect(await keysOf(archive)).toEqual([]);
      expect((await archive.create(KEY, bytesOf("x"))).outcome).toBe("created");
    });

    test("an abort for a reason of ours rejects with that reason", async () => {
      const reason = new FirnlineError({
        code: "E_STALE",
        subject: "lease",
        problem: "lost",
        hint: "Run again",
      });
      await expect(archive.create(KEY, bytesOf("x"), { signal: AbortSignal.abort(reason) })).rejects.toBe(
        reason,
      );
      await created(archive, KEY, bytesOf("x"));
      const reading = readAll(archive, at(KEY), undefined, AbortSignal.abort(reason));
      await expect(reading).rejects.toBe(reason);
    });

    test("a key that is a folder of other keys is refused or kept apart, and harms neither", async () => {
      await created(archive, "a/b", bytesOf("object"));
      await created(archive, "x/y/z", bytesOf("below"));
      for (const key of ["a/b/c", "x/y"]) {
        const outcome = await archive.create(key, bytesOf("new")).catch((error: unknown) => error);
        if (outcome instanceof FirnlineError) expect(outcome.code).toBe("E_ARCHIVE");
        else expect(outcome).toMatchObject({ outcome: "created" });
      }
      expect(await readAll(archive, at("a/b"))).toEqual(bytesOf("object"));
      expect(await readAll(archive, at("x/y/z"))).toEqual(bytesOf("below"));
    });
  });
}
