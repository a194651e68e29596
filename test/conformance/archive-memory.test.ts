/** The memory archive under the contract, and what it adds to it: versions and a look inside. */
import { expect, test } from "vitest";

import { type MemoryArchive, openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { describeArchive } from "./archive.ts";
import {
  type ArchiveHarness,
  at,
  bytesOf,
  created,
  failureOf,
  HOUR_MS,
  keysOf,
  readAll,
} from "./archive/harness.ts";

const START = Date.UTC(2026, 0, 3, 10, 30);

function openSeeded(versioned: boolean, now: () => EpochMs): MemoryArchive {
  let counter = 0;
  const random = (bytes: number): Uint8Array => {
    const filled = new Uint8Array(bytes);
    new DataView(filled.buffer).setUint32(bytes - 4, ++counter);
    return filled;
  };
  return openMemoryArchive({ now, random, restoreDelayMs: 12 * HOUR_MS, versioned });
}

function harness(versioned: boolean): ArchiveHarness {
  let clock = START;
  const now = (): EpochMs => clock as EpochMs;
  const archive = openSeeded(versioned, now);
  return {
    archive,
    restoreDelayMs: 12 * HOUR_MS,
    now,
    advance: (ms) => void (clock += ms),
    corrupt: async (key, change) => archive.corrupt(key, change),
    dispose: async () => archive[Symbol.asyncDispose](),
  };
}

describeArchive("memory", async () => harness(false));
describeArchive("memory, versioned", async () => harness(true));

const now = (): EpochMs => START as EpochMs;

test("versioned: a change of class makes a new version, and the old one stays until it is deleted", async () => {
  const archive = openSeeded(true, now);
  const first = await created(archive, "a/b", bytesOf("x"));
  const second = await archive.setClass(first, "GLACIER");
  expect(second.versionId).not.toBe(first.versionId);
  expect(archive.versions("a/b").map(({ versionId }) => versionId)).toEqual([
    first.versionId,
    second.versionId,
  ]);
  expect((await archive.head(at("a/b")))?.storageClass).toBe("GLACIER");
  expect(await readAll(archive, first)).toEqual(bytesOf("x"));

  await archive.deleteVersion(first);
  await archive.deleteVersion(first);
  expect(await archive.head(first)).toBeNull();
  expect((await archive.head(at("a/b")))?.versionId).toBe(second.versionId);
  expect(await keysOf(archive)).toEqual(["a/b"]);
});

test("versioned: deleting the current version uncovers the one before", async () => {
  const archive = openSeeded(true, now);
  const first = await created(archive, "a/b", bytesOf("x"));
  const second = await archive.setClass(first, "GLACIER");
  await archive.deleteVersion(second);
  expect((await archive.head(at("a/b")))?.versionId).toBe(first.versionId);
  expect((await archive.create("a/b", bytesOf("y"))).outcome).toBe("exists");
});

test("versioned: a deletion must name its version", async () => {
  const archive = openSeeded(true, now);
  await created(archive, "a/b", bytesOf("x"));
  expect((await failureOf(archive.deleteVersion(at("a/b")))).code).toBe("E_ARCHIVE");
  expect(await keysOf(archive)).toEqual(["a/b"]);
});

test("unversioned: a locator with a version comes from elsewhere and is refused", async () => {
  const archive = openSeeded(false, now);
  await created(archive, "a/b", bytesOf("x"));
  const object = { key: "a/b", versionId: "v1" };
  for (const work of [
    () => archive.head(object),
    () => readAll(archive, object),
    () => archive.deleteVersion(object),
  ]) {
    expect((await failureOf(work())).code).toBe("E_ARCHIVE");
  }
  expect(archive.snapshot().size).toBe(1);
});

test("the same calls give the same versions, and a snapshot is a copy", async () => {
  const runs = await Promise.all(
    [1, 2].map(async () => {
      const archive = openSeeded(true, now);
      const pin = await created(archive, "b", bytesOf("x"));
      await created(archive, "a/c", bytesOf("y"));
      const snapshot = archive.snapshot();
      snapshot.get("b")?.fill(0);
      expect(archive.snapshot().get("b")).toEqual(bytesOf("x"));
      return { pin, keys: [...snapshot.keys()] };
    }),
  );
  expect(runs[0]).toEqual(runs[1]);
  expect(runs[0]?.keys).toEqual(["a/c", "b"]);
});
