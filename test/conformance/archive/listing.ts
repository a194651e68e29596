/** The contract of `list` and `tag`. */
import { beforeEach, describe, expect, test } from "vitest";

import type { Archive } from "../../../src/archive/port.ts";
import {
  type ArchiveHarness,
  at,
  bytesOf,
  created,
  DAY_MS,
  failureOf,
  KEY,
  keysOf,
  readAll,
  type StoreAbilities,
} from "./harness.ts";

/** Declares the tests; `subject` gives the harness that the suite has made for the test at hand. */
export function describeListing(subject: () => ArchiveHarness, can: StoreAbilities): void {
  let harness: ArchiveHarness;
  let archive: Archive;
  beforeEach(() => {
    harness = subject();
    ({ archive } = harness);
  });

  describe("list", () => {
    const KEYS = [
      "a",
      "a-b",
      "a.b",
      "a0",
      "aB",
      "b/c",
      "b/c.d",
      "b/c0",
      "b-/x",
      "b./x",
      "b0/x",
      "c/d/e",
      "c/d/f/g",
      "c/d-e/x",
      "c/d.e/x",
      "c/d=1/x",
      "c/d_",
      "c/dE",
      "Z",
      "_firnline/p/journal/1.json",
      "=",
      "-",
      "0",
    ];

    test("ascends by bytes, each key once, whatever the order of creation", async () => {
      for (const key of KEYS.toReversed()) await created(archive, key, bytesOf(key));
      const expected = KEYS.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await keysOf(archive)).toEqual(expected);
      for (const prefix of [
        "a",
        "a-",
        "a.b",
        "b",
        "b/",
        "b/c",
        "c/d",
        "c/d/",
        "c/d/f/g",
        "_firnline/p/",
        "q",
        "a/",
      ]) {
        expect(await keysOf(archive, prefix)).toEqual(expected.filter((key) => key.startsWith(prefix)));
      }
    });

    test("shows size and when it was created, by the archive's clock", async () => {
      const first = harness.now();
      await created(archive, "a/1", bytesOf("12345"));
      harness.advance(DAY_MS + 1);
      const second = harness.now();
      await created(archive, "a/2", new Uint8Array(0));
      const listed = await Array.fromAsync(archive.list("a/"));
      expect(listed).toMatchObject([
        { key: "a/1", bytes: 5n },
        { key: "a/2", bytes: 0n },
      ]);
      // A store's own clock has whole seconds, and is not quite ours.
      const tolerance = can.clock ? 0 : 5_000;
      for (const [index, expected] of [first, second].entries()) {
        expect(Math.abs((listed[index]?.modifiedAt ?? 0) - expected)).toBeLessThanOrEqual(tolerance);
      }
    });

    test("shows objects only: no sidecars, no files of creates under way", async () => {
      const pin = await created(archive, "a/b.parquet", bytesOf("x"), "DEEP_ARCHIVE");
      await archive.tag(pin, { "firnline-tier": "cold" });
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      async function* body(): AsyncGenerator<Uint8Array> {
        yield bytesOf("half");
        await gate;
      }
      const creating = archive.create("a/c.parquet", body());
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await keysOf(archive)).toEqual(["a/b.parquet"]);
      expect(await archive.head(at("a/c.parquet"))).toBeNull();
      open();
      await creating;
      expect(await keysOf(archive)).toEqual(["a/b.parquet", "a/c.parquet"]);
    });

    test("can be left early, and bears changes while it goes on", async () => {
      // Some stores take a tenth of a second for each.
      for (let i = 0; i < 24; i++) await created(archive, `a/${i.toString().padStart(3, "0")}`, bytesOf("x"));
      const seen: string[] = [];
      for await (const { key, versionId } of archive.list("")) {
        seen.push(key);
        await archive.deleteVersion({ key, versionId });
        if (seen.length === 12) break;
      }
      expect(seen).toHaveLength(12);
      expect(await keysOf(archive)).toHaveLength(12);
    });

    test("of all versions shows each, those of a key together and newest first", async () => {
      const first = await created(archive, "a/1", bytesOf("12345"));
      await created(archive, "a/2", bytesOf("1"));
      const all = can.moves ? [await archive.setClass(first, "STANDARD_IA"), first] : [first];
      const versions = new Set(all.map(({ versionId }) => versionId));
      const listed = await Array.fromAsync(archive.listVersions("a/"));
      const common = { isDeleteMarker: false };
      expect(listed).toMatchObject([
        ...[...versions].map((versionId, index) => ({
          key: "a/1",
          versionId,
          bytes: 5n,
          isCurrent: index === 0,
          ...common,
        })),
        { key: "a/2", bytes: 1n, isCurrent: true, ...common },
      ]);
      expect(await keysOf(archive, "a/")).toEqual(["a/1", "a/2"]);
      expect(await Array.fromAsync(archive.listVersions("q"))).toEqual([]);
    });

    test("an illegal prefix is refused", async () => {
      for (const prefix of ["../", "/", "a/../", ".", "a//", "%"]) {
        expect((await failureOf(keysOf(archive, prefix))).code).toBe("E_INTERNAL");
      }
    });
  });

  describe("tags", () => {
    test("are merged, and survive a change of class", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      await archive.tag(pin, { "firnline-tier": "warm", owner: "audit" });
      await archive.tag(pin, { "firnline-tier": "cold" });
      await archive.tag(pin, {});
      expect((await archive.head(pin))?.tags).toEqual({ "firnline-tier": "cold", owner: "audit" });
      if (!can.moves) {
        const refused = await failureOf(archive.setClass(pin, "STANDARD_IA"));
        expect(refused).toMatchObject({ code: "E_BUCKET", retryable: false });
        expect((await archive.head(pin))?.storageClass).toBe("STANDARD");
        return;
      }
      const moved = await archive.setClass(pin, "STANDARD_IA");
      expect((await archive.head(moved))?.tags).toEqual({ "firnline-tier": "cold", owner: "audit" });
      expect(await readAll(archive, moved)).toEqual(bytesOf("x"));
    });

    test("of two at once none is lost", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      await Promise.all(
        Array.from({ length: 10 }, (_, index) => archive.tag(pin, { [`t${index}`]: `${index}` })),
      );
      expect(Object.keys((await archive.head(pin))?.tags ?? {})).toHaveLength(10);
    });

    test("beyond the limits of S3 are refused and change nothing", async () => {
      const pin = await created(archive, KEY, bytesOf("x"));
      await archive.tag(pin, { a: "1" });
      const eleven = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, "x"]));
      for (const tags of [eleven, { "": "x" }, { a: "\0" }, { "aws:x": "1" }, { a: "x".repeat(257) }]) {
        expect((await failureOf(archive.tag(pin, tags))).code).toBe("E_ARCHIVE");
      }
      expect((await archive.head(pin))?.tags).toEqual({ a: "1" });
    });
  });
}
