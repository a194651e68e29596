/** The contract of `setClass` and `restore`: refused, restored, readable, expired. */
import { beforeEach, describe, expect, test } from "vitest";

import type { Access, Archive, Locator } from "../../../src/archive/port.ts";
import {
  type ArchiveHarness,
  bytesOf,
  created,
  DAY_MS,
  failureOf,
  KEY,
  patterned,
  readAll,
} from "./harness.ts";

/** Declares the tests; `subject` gives the harness that the suite has made for the test at hand. */
export function describeColdClasses(subject: () => ArchiveHarness): void {
  let harness: ArchiveHarness;
  let archive: Archive;
  beforeEach(() => {
    harness = subject();
    ({ archive } = harness);
  });

  const accessOf = async (object: Locator): Promise<Access | undefined> =>
    (await archive.head(object))?.access;

  describe("cold classes", () => {
    const NEEDS = ["GLACIER", "DEEP_ARCHIVE"] as const;

    test.each(NEEDS)("%s: refused, restored, readable, expired, refused", async (storageClass) => {
      const body = patterned(1000);
      const first = await created(archive, KEY, body);
      const object = await archive.setClass(first, storageClass);
      expect(await archive.head(object)).toMatchObject({ storageClass, access: { state: "archived" } });

      const refused = await failureOf(readAll(archive, object));
      expect(refused).toMatchObject({ code: "E_COLD", retryable: false });
      expect(refused.hint).toMatch(/restored copy/);

      const readyAt = harness.now() + harness.restoreDelayMs;
      const asked = await archive.restore(object, { days: 2, tier: "Bulk" });
      expect(asked).toEqual({ state: "restoring", readyAt });
      expect(await accessOf(object)).toEqual(asked);
      expect(await failureOf(readAll(archive, object))).toMatchObject({ code: "E_COLD", retryable: true });

      harness.advance(harness.restoreDelayMs - 1);
      expect((await failureOf(readAll(archive, object))).code).toBe("E_COLD");
      harness.advance(1);
      const until = (Math.floor(readyAt / DAY_MS) + 3) * DAY_MS;
      expect(await accessOf(object)).toEqual({ state: "readable", until });
      expect((await archive.head(object))?.storageClass).toBe(storageClass);
      expect(await readAll(archive, object)).toEqual(body);
      expect(await readAll(archive, object, { start: 10, end: 20 })).toEqual(body.slice(10, 20));

      harness.advance(until - harness.now() - 1);
      expect(await readAll(archive, object)).toEqual(body);
      harness.advance(1);
      expect(await accessOf(object)).toEqual({ state: "archived" });
      expect(await failureOf(readAll(archive, object))).toMatchObject({ code: "E_COLD", retryable: false });

      const again = await archive.restore(object, { days: 1, tier: "Standard" });
      expect(again).toEqual({ state: "restoring", readyAt: harness.now() + harness.restoreDelayMs });
    });

    test("a second request while one is under way does not move it", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "DEEP_ARCHIVE");
      const asked = await archive.restore(pin, { days: 1, tier: "Standard" });
      harness.advance(Math.floor(harness.restoreDelayMs / 2));
      expect(await archive.restore(pin, { days: 1, tier: "Standard" })).toEqual(asked);
      expect(await archive.restore(pin, { days: 30, tier: "Bulk" })).toEqual(asked);
      harness.advance(Math.ceil(harness.restoreDelayMs / 2));
      expect(await readAll(archive, pin)).toEqual(bytesOf("x"));
    });

    test("a request while the copy is readable lengthens its stay and never shortens it", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "GLACIER");
      await archive.restore(pin, { days: 3, tier: "Standard" });
      harness.advance(harness.restoreDelayMs);
      const ready = await accessOf(pin);
      expect(await archive.restore(pin, { days: 1, tier: "Standard" })).toEqual(ready);
      const until = (Math.floor(harness.now() / DAY_MS) + 11) * DAY_MS;
      expect(await archive.restore(pin, { days: 10, tier: "Standard" })).toEqual({
        state: "readable",
        until,
      });
      expect(await accessOf(pin)).toEqual({ state: "readable", until });
    });

    test("restoring what can be read at once changes nothing", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "GLACIER_IR");
      const readable = { state: "readable", until: null };
      expect(await archive.restore(pin, { days: 1, tier: "Expedited" })).toEqual(readable);
      expect(await accessOf(pin)).toEqual(readable);
    });

    test("days that are none, and a tier that DEEP_ARCHIVE does not have, are refused", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "DEEP_ARCHIVE");
      for (const days of [0, -1, 1.5, Number.NaN]) {
        expect((await failureOf(archive.restore(pin, { days, tier: "Bulk" }))).code).toBe("E_INTERNAL");
      }
      expect((await failureOf(archive.restore(pin, { days: 1, tier: "Expedited" }))).code).toBe("E_ARCHIVE");
      expect(await accessOf(pin)).toEqual({ state: "archived" });
    });

    test("leaving a cold class needs a readable copy, staying in it does not", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "GLACIER");
      expect((await failureOf(archive.setClass(pin, "STANDARD"))).code).toBe("E_COLD");
      expect(await archive.setClass(pin, "GLACIER")).toEqual({ key: KEY, versionId: pin.versionId });
      await archive.restore(pin, { days: 1, tier: "Standard" });
      expect((await failureOf(archive.setClass(pin, "DEEP_ARCHIVE"))).code).toBe("E_COLD");
      harness.advance(harness.restoreDelayMs);

      const deeper = await archive.setClass(pin, "DEEP_ARCHIVE");
      expect(await archive.head(deeper)).toMatchObject({
        storageClass: "DEEP_ARCHIVE",
        access: { state: "archived" }, // the copy did not move along
      });
      await archive.restore(deeper, { days: 1, tier: "Standard" });
      harness.advance(harness.restoreDelayMs);
      const warm = await archive.setClass(deeper, "STANDARD");
      harness.advance(100 * DAY_MS);
      expect(await readAll(archive, warm)).toEqual(bytesOf("x"));
    });

    test("a class that is no name is refused", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      expect((await failureOf(archive.setClass(pin, "a b"))).code).toBe("E_INTERNAL");
      const creating = archive.create("b", bytesOf("x"), { storageClass: "" });
      expect((await failureOf(creating)).code).toBe("E_INTERNAL");
    });
  });
}
