/** An archive that is opened with the first call does what the opened one does. */
import { expect, test } from "vitest";
import { openLateArchive } from "../../src/archive/late-archive.ts";
import { type MemoryArchive, openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { describeArchive } from "./archive.ts";
import { type ArchiveHarness, at, bytesOf, HOUR_MS } from "./archive/harness.ts";

function openMemory(now: () => EpochMs): MemoryArchive {
  let counter = 0;
  const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill((counter += 1));
  return openMemoryArchive({
    now,
    random,
    restoreDelayMs: 12 * HOUR_MS,
    versioned: true,
    url: "memory://late",
  });
}

function harness(): ArchiveHarness {
  let clock = Date.UTC(2026, 0, 3, 10, 30);
  const now = (): EpochMs => clock as EpochMs;
  const inner = openMemory(now);
  const archive = openLateArchive(inner.url, async () => inner);
  return {
    archive,
    restoreDelayMs: 12 * HOUR_MS,
    now,
    advance: (ms) => void (clock += ms),
    corrupt: async (key, change) => inner.corrupt(key, change),
    dispose: async () => archive[Symbol.asyncDispose](),
  };
}

describeArchive("memory, opened late", async () => harness());

const now = (): EpochMs => Date.UTC(2026, 0, 3) as EpochMs;

test("opens with the first call, once, and closes what it opened", async () => {
  let opened = 0;
  const inner = openMemory(now);
  const archive = openLateArchive(inner.url, async () => {
    opened += 1;
    return inner;
  });
  expect({ url: archive.url, opened }).toEqual({ url: "memory://late", opened: 0 });
  await Promise.all([archive.create("a", bytesOf("x")), archive.head(at("b")), archive.traits()]);
  expect(opened).toBe(1);
  await archive[Symbol.asyncDispose]();
  await expect(inner.head(at("a"))).rejects.toMatchObject({ code: "E_INTERNAL" });
});

test("is never opened for being closed, and not after it either", async () => {
  const archive = openLateArchive("memory://late", async () => await Promise.reject(new Error("opened")));
  await archive[Symbol.asyncDispose]();
  await archive[Symbol.asyncDispose]();
  await expect(archive.traits()).rejects.toMatchObject({ code: "E_INTERNAL" });
});

test("one that cannot be opened says so to whoever asks, and closes in silence", async () => {
  const archive = openLateArchive("memory://late", async () => await Promise.reject(new Error("no SDK")));
  await expect(archive.traits()).rejects.toThrow("no SDK");
  await expect(archive.list("")[Symbol.asyncIterator]().next()).rejects.toThrow("no SDK");
  await archive[Symbol.asyncDispose]();
});
