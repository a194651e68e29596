/** What every method does with keys that are illegal or missing, and after the end. */
import { beforeEach, expect, test } from "vitest";

import type { Archive } from "../../../src/archive/port.ts";
import { type ArchiveHarness, bytesOf, created, failureOf, KEY, keysOf, readAll } from "./harness.ts";

const ILLEGAL_KEYS = [
  "",
  "/",
  "/a",
  "a/",
  "a//b",
  ".",
  "..",
  "../a",
  "a/../b",
  "a/./b",
  "a/.hidden",
  ".tmp/x",
  "a b",
  "a\0b",
  "a\\b",
  "a%2fb",
  "ä",
  "a\n",
  "a/b\n",
  "x".repeat(241),
  `${"x/".repeat(512)}x`,
];

/** Declares the tests; `subject` gives the harness that the suite has made for the test at hand. */
export function describeAddressing(subject: () => ArchiveHarness): void {
  let archive: Archive;
  beforeEach(() => {
    ({ archive } = subject());
  });

  test("a missing object is null from head, nothing to delete, an error from everything else", async () => {
    await created(archive, "a/there", bytesOf("x"));
    for (const key of ["a/missing", "b/missing", "a/there/below", "a"]) {
      const object = { key, versionId: null };
      expect(await archive.head(object)).toBeNull();
      for (const work of [
        () => readAll(archive, object),
        () => archive.tag(object, { a: "b" }),
        () => archive.setClass(object, "GLACIER"),
        () => archive.restore(object, { days: 1, tier: "Standard" }),
      ]) {
        expect(await failureOf(work())).toMatchObject({ code: "E_ARCHIVE", retryable: false, key });
      }
    }
    expect(await keysOf(archive)).toEqual(["a/there"]);
  });

  for (const key of ILLEGAL_KEYS) {
    test(`the illegal key ${JSON.stringify(key.slice(0, 20))} is refused by every method`, async () => {
      const object = { key, versionId: null };
      for (const work of [
        () => archive.create(key, bytesOf("x")),
        () => archive.head(object),
        () => readAll(archive, object),
        () => archive.tag(object, { a: "b" }),
        () => archive.setClass(object, "STANDARD_IA"),
        () => archive.restore(object, { days: 1, tier: "Standard" }),
        () => archive.deleteVersion(object),
      ]) {
        expect((await failureOf(work())).code).toBe("E_INTERNAL");
      }
      expect(await keysOf(archive)).toEqual([]);
    });
  }

  test("deleteVersion removes one object, twice is once, and the key is free again", async () => {
    const pin = await created(archive, "a/b", bytesOf("old"), "DEEP_ARCHIVE");
    await created(archive, "a/b.c", bytesOf("other"));
    await archive.tag(pin, { a: "1" });
    await archive.deleteVersion(pin);
    await archive.deleteVersion(pin);
    expect(await archive.head(pin)).toBeNull();
    expect(await keysOf(archive)).toEqual(["a/b.c"]);
    const fresh = await created(archive, "a/b", bytesOf("new"));
    expect(await archive.head(fresh)).toMatchObject({ storageClass: "STANDARD", tags: {} });
    expect(await readAll(archive, fresh)).toEqual(bytesOf("new"));
    await archive.deleteVersion({ key: "never/was", versionId: pin.versionId });
  });

  test("dispose is idempotent, and a closed archive does nothing any more", async () => {
    await archive[Symbol.asyncDispose]();
    await archive[Symbol.asyncDispose]();
    expect((await failureOf(archive.create(KEY, bytesOf("x")))).code).toBe("E_INTERNAL");
  });

  test("examine finds nothing wrong, before the first object and after, and leaves nothing behind", async () => {
    expect(await archive.examine()).toMatchObject({ findings: [] });
    expect(await keysOf(archive)).toEqual([]);
    await created(archive, "a/b", bytesOf("x"));
    const { bytesFree, findings } = await archive.examine();
    expect(findings).toEqual([]);
    if (bytesFree !== null) expect(bytesFree).toBeGreaterThan(0n);
    expect(await keysOf(archive)).toEqual(["a/b"]);
    await archive[Symbol.asyncDispose]();
    expect((await failureOf(archive.examine())).code).toBe("E_INTERNAL");
  });

  test("the URL names the archive and holds no secret", () => {
    expect(new URL(archive.url)).toMatchObject({ username: "", password: "", search: "" });
  });
}
