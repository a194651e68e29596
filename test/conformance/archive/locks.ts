/** The contract of Object Lock: `retain`, `hold`, `CreateOptions.retention`, and what `deleteVersion` then says. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Archive, Retention } from "../../../src/archive/port.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import {
  type ArchiveHarness,
  bytesOf,
  created,
  DAY_MS,
  failureOf,
  KEY,
  keysOf,
  MIB,
  patterned,
  readAll,
  type StoreAbilities,
} from "./harness.ts";

/** Declares the tests; `subject` gives the harness that the suite has made for the test at hand. */
export function describeLocks(subject: () => ArchiveHarness, can: StoreAbilities): void {
  let harness: ArchiveHarness;
  let archive: Archive;
  beforeEach(() => {
    harness = subject();
    ({ archive } = harness);
  });

  /** A lock of whole seconds, as stores keep it. */
  const locked = (mode: Retention["mode"], days: number): Retention => {
    const until = Math.ceil((harness.now() + days * DAY_MS) / 1_000) * 1_000;
    return { mode, until: until as EpochMs };
  };

  describe("locks", () => {
    test("are told beforehand, and refused where the store has none", async () => {
      expect((await archive.traits()).locks).toBe(can.locks);
      if (can.locks) return;
      const pin = await created(archive, KEY, bytesOf("x"));
      for (const work of [
        () => archive.create("b", bytesOf("x"), { retention: locked("GOVERNANCE", 1) }),
        () => archive.retain(pin, locked("GOVERNANCE", 1)),
        () => archive.hold(pin, true),
        () => archive.hold(pin, false),
      ]) {
        expect(await failureOf(work())).toMatchObject({ code: "E_ARCHIVE", retryable: false });
      }
      expect(await keysOf(archive)).toEqual([KEY]);
    });
    if (!can.locks) return;

    test("are lengthened, never shortened", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      expect(await archive.head(pin)).toMatchObject({ retention: null, isHeld: false });
      const [short, long] = [locked("GOVERNANCE", 2), locked("GOVERNANCE", 9)];
      for (const [wanted, expected] of [
        [short, short],
        [long, long],
        [short, long],
        [long, long],
      ] as const) {
        await archive.retain(pin, wanted);
        expect((await archive.head(pin))?.retention).toEqual(expected);
      }
    });

    test("keep a version from being removed, and leave its bytes, tags and other versions as they are", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      await archive.retain(pin, locked("GOVERNANCE", 2));
      await archive.tag(pin, { a: "1" });
      const refused = await failureOf(archive.deleteVersion(pin));
      expect(refused).toMatchObject({ code: "E_ARCHIVE", retryable: false, key: KEY });
      expect(refused.problem).toMatch(/locked until 20\d\d-.*GOVERNANCE/);
      expect(await readAll(archive, pin)).toEqual(bytesOf("x"));
      expect((await archive.head(pin))?.tags).toEqual({ a: "1" });

      const moved = await archive.setClass(pin, "STANDARD_IA");
      // A copy has no lock of its own in S3; Ceph copies it.
      if ((await archive.head(moved))?.retention === null) await archive.deleteVersion(moved);
      else expect((await failureOf(archive.deleteVersion(moved))).problem).toMatch(/locked until/);
      expect((await archive.head(pin))?.bytes).toBe(1n);
    });

    test("can be there from an object's first moment on, small or large", async () => {
      const retention = locked("COMPLIANCE", 1);
      for (const [key, body] of [
        ["a/small", bytesOf("x")],
        ["a/large", patterned(9 * MIB)],
      ] as const) {
        const result = await archive.create(key, body, { retention });
        if (result.outcome !== "created") throw new Error("it exists");
        expect((await archive.head(result.pin))?.retention).toEqual(retention);
        const refused = await failureOf(archive.deleteVersion(result.pin));
        expect(refused.problem).toMatch(/locked until .*COMPLIANCE/);
      }
    });

    test("a legal hold is put on and taken off, and keeps a version from being removed", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      for (const isHeld of [true, true, false, false, true]) {
        await archive.hold(pin, isHeld);
        expect((await archive.head(pin))?.isHeld).toBe(isHeld);
      }
      const refused = await failureOf(archive.deleteVersion(pin));
      expect(refused).toMatchObject({ code: "E_ARCHIVE", retryable: false });
      expect(refused.problem).toMatch(/legal hold/);
      await archive.hold(pin, false);
      await archive.deleteVersion(pin);
      expect(await archive.head(pin)).toBeNull();
    });

    test("of a missing object are an error", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      await archive.deleteVersion(pin);
      for (const work of [
        () => archive.retain(pin, locked("GOVERNANCE", 1)),
        () => archive.hold(pin, true),
      ]) {
        expect(await failureOf(work())).toMatchObject({ code: "E_ARCHIVE", retryable: false });
      }
    });
  });
}
