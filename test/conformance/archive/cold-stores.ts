/** The contract of `setClass` and `restore` on stores whose clock nobody can advance, or that have no restores at all. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Archive } from "../../../src/archive/port.ts";
import {
  type ArchiveHarness,
  bytesOf,
  created,
  DAY_MS,
  failureOf,
  KEY,
  patterned,
  readAll,
  type StoreAbilities,
} from "./harness.ts";

/** Declares the tests; `subject` gives the harness that the suite has made for the test at hand. */
export function describeColdStores(subject: () => ArchiveHarness, can: StoreAbilities): void {
  let harness: ArchiveHarness;
  let archive: Archive;
  beforeEach(() => {
    harness = subject();
    ({ archive } = harness);
  });

  /** S3's rule, by the store's clock, which may pass midnight while we look. */
  const midnights = (days: number): number[] =>
    [0, 60_000].map((ahead) => (Math.floor((harness.now() + ahead) / DAY_MS) + days + 1) * DAY_MS);

  describe("cold classes", () => {
    const NEEDS = ["GLACIER", "DEEP_ARCHIVE"] as const;

    test.each(NEEDS)("%s: archived, and read only as the store allows", async (storageClass) => {
      const body = patterned(1000);
      const pin = await created(archive, KEY, body, storageClass);
      expect(await archive.head(pin)).toMatchObject({ storageClass, access: { state: "archived" } });
      if (can.restores === "never") {
        const refused = await failureOf(archive.restore(pin, { days: 2, tier: "Standard" }));
        expect(refused).toMatchObject({ code: "E_ARCHIVE", retryable: false });
        expect(refused.problem).toMatch(/no restores/);
        return;
      }
      for (const range of [undefined, { start: 10, end: 20 }, { start: 5, end: 5 }]) {
        expect(await failureOf(readAll(archive, pin, range))).toMatchObject({
          code: "E_COLD",
          retryable: false,
        });
      }
      const access = await archive.restore(pin, { days: 2, tier: "Standard" });
      expect(access.state).toBe("readable");
      expect(await archive.head(pin)).toMatchObject({ storageClass, access });
      expect(await readAll(archive, pin)).toEqual(body);
      expect(await readAll(archive, pin, { start: 10, end: 20 })).toEqual(body.slice(10, 20));
    });

    test("a request while the copy is readable lengthens its stay and never shortens it", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "GLACIER");
      if (can.restores === "never") return;
      const ready = await archive.restore(pin, { days: 3, tier: "Standard" });
      expect(await archive.restore(pin, { days: 1, tier: "Standard" })).toEqual(ready);
      expect(ready.state === "readable" && ready.until !== null).toBe(true);
      const longer = await archive.restore(pin, { days: 10, tier: "Standard" });
      expect(longer.state).toBe("readable");
      if (ready.state !== "readable" || longer.state !== "readable") return;
      expect(longer.until).toBeGreaterThan((ready.until ?? 0) + 5 * DAY_MS);
    });

    test("restoring what can be read at once changes nothing, on any store", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "GLACIER_IR");
      const readable = { state: "readable", until: null };
      expect(await archive.restore(pin, { days: 1, tier: "Expedited" })).toEqual(readable);
      expect((await archive.head(pin))?.access).toEqual(readable);
      expect(midnights(1)[0]).toBeGreaterThan(harness.now());
    });

    test("days that are none, and a tier that DEEP_ARCHIVE does not have, are refused", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "DEEP_ARCHIVE");
      for (const days of [0, -1, 1.5, Number.NaN]) {
        expect((await failureOf(archive.restore(pin, { days, tier: "Bulk" }))).code).toBe("E_INTERNAL");
      }
      expect((await failureOf(archive.restore(pin, { days: 1, tier: "Expedited" }))).code).toBe("E_ARCHIVE");
      expect((await archive.head(pin))?.access).toEqual({ state: "archived" });
    });

    test("leaving a cold class needs a readable copy, staying in it does not", async () => {
      const pin = await created(archive, KEY, bytesOf("x"), "GLACIER");
      expect(await archive.setClass(pin, "GLACIER")).toEqual({ key: KEY, versionId: pin.versionId });
      const refused = await failureOf(archive.setClass(pin, "STANDARD"));
      expect(refused.code).toBe(can.moves ? "E_COLD" : "E_BUCKET");
      if (!can.moves || can.restores === "never") return;
      await archive.restore(pin, { days: 1, tier: "Standard" });
      const warm = await archive.setClass(pin, "STANDARD");
      expect(await archive.head(warm)).toMatchObject({
        storageClass: "STANDARD",
        access: { state: "readable" },
      });
      expect(await readAll(archive, warm)).toEqual(bytesOf("x"));
      expect(await archive.head(pin)).toMatchObject({ storageClass: "GLACIER" });
    });

    test("a class that is no name is refused", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      expect((await failureOf(archive.setClass(pin, "a b"))).code).toBe("E_INTERNAL");
      const creating = archive.create("b", bytesOf("x"), { storageClass: "" });
      expect((await failureOf(creating)).code).toBe("E_INTERNAL");
    });

    test("moving goes on where it was cut short: one copy, not two", async () => {
      if (!can.moves) return;
      const pin = await created(archive, KEY, bytesOf("x"));
      const moved = await archive.setClass(pin, "GLACIER_IR");
      // The first call's result was never heard of.
      expect(await archive.setClass(pin, "GLACIER_IR")).toEqual(moved);
      expect(await Array.fromAsync(archive.listVersions(KEY))).toHaveLength(2);
    });
  });
}
