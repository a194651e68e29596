/**
 * The file archive against the memory archive as its model: any sequence of calls has the same outcome in
 * both, error codes included, and leaves the same objects.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import fc from "fast-check";
import { expect, test } from "vitest";

import { openFileArchive } from "../../src/archive/file/file-archive.ts";
import { openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { Archive, ByteRange, RestoreTier } from "../../src/archive/port.ts";
import { FirnlineError } from "../../src/errors.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { DAY_MS, HOUR_MS, patterned, readAll, sha256 } from "./archive/harness.ts";

const START = Date.UTC(2026, 0, 3, 10, 30);

type Command =
  | { readonly do: "create"; readonly key: string; readonly bytes: number; readonly storageClass: string }
  | { readonly do: "createThatThrows"; readonly key: string; readonly bytes: number }
  | { readonly do: "createTwice"; readonly key: string; readonly bytes: number }
  | { readonly do: "head" | "delete"; readonly key: string }
  | { readonly do: "read"; readonly key: string; readonly range: ByteRange | undefined }
  | { readonly do: "tag"; readonly key: string; readonly tags: Readonly<Record<string, string>> }
  | { readonly do: "setClass"; readonly key: string; readonly storageClass: string }
  | { readonly do: "restore"; readonly key: string; readonly days: number; readonly tier: RestoreTier }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "list"; readonly prefix: string };

// Few keys, so that calls meet; `a/b` and `a/b/c`, `d` and `d/e` exclude one another.
const key = fc.constantFrom("a/b", "a/b.c", "a/b/c", "a-b", "d", "d/e", "d.e/f", "_firnline/p/1.json");
const storageClass = fc.constantFrom("STANDARD", "STANDARD_IA", "GLACIER", "DEEP_ARCHIVE");
const bytes = fc.constantFrom(0, 1, 1000, 600_000);
const offset = fc.constantFrom(0, 1, 999, 1000, 1001, 524_288, 600_000);
const range = fc.tuple(offset, offset).map(([start, end]) => ({ start, end }));
const tags = fc.dictionary(
  fc.constantFrom("a", "b", "c", "__proto__", "bad\0"),
  fc.constantFrom("", "1", "2"),
);

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("create" as const), key, bytes, storageClass }) },
  fc.record({ do: fc.constant("createThatThrows" as const), key, bytes }),
  fc.record({ do: fc.constant("createTwice" as const), key, bytes }),
  fc.record({ do: fc.constantFrom("head" as const, "delete" as const), key }),
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      key,
      range: fc.option(range, { nil: undefined }),
    }),
  },
  fc.record({ do: fc.constant("tag" as const), key, tags }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant("setClass" as const), key, storageClass }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("restore" as const),
      key,
      days: fc.constantFrom(1, 2, 10, 0),
      tier: fc.constantFrom<RestoreTier>("Expedited", "Standard", "Bulk"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.constantFrom(1, HOUR_MS, DAY_MS, 3 * DAY_MS),
    }),
  },
  fc.record({
    do: fc.constant("list" as const),
    prefix: fc.constantFrom("", "a", "a/", "a/b", "d", "_firnline/"),
  }),
);

async function* throwing(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body;
  throw new RangeError("the body broke");
}

async function outcomeOf(archive: Archive, step: Command): Promise<unknown> {
  const object = { key: "key" in step ? step.key : "none", versionId: null };
  switch (step.do) {
    case "create":
      return await archive.create(step.key, patterned(step.bytes), { storageClass: step.storageClass });
    case "createThatThrows":
      return await archive.create(step.key, throwing(patterned(step.bytes)));
    case "createTwice": {
      // Both have ended when the step has: a second create that is still under way would meet the next step.
      const both = await Promise.allSettled(
        [1, 1].map((seed) => archive.create(step.key, patterned(step.bytes, seed))),
      );
      const created = both.map((one) => {
        if (one.status === "rejected") throw one.reason;
        return one.value;
      });
      return created.sort((a, b) => (a.outcome < b.outcome ? -1 : 1));
    }
    case "head":
      return await archive.head(object);
    case "delete":
      return await archive.deleteVersion(object);
    case "read":
      return sha256(await readAll(archive, object, step.range));
    case "tag":
      return await archive.tag(object, step.tags);
    case "setClass":
      return await archive.setClass(object, step.storageClass);
    case "restore":
      return await archive.restore(object, step);
    case "advance":
      return null;
    case "list":
      return await Array.fromAsync(archive.list(step.prefix));
  }
}

/** What a caller can tell apart: the value, or the code, subject and retryability of the error. */
async function observed(archive: Archive, step: Command): Promise<unknown> {
  try {
    return { value: await outcomeOf(archive, step) };
  } catch (error) {
    if (!(error instanceof FirnlineError)) return { thrown: String(error) };
    const { code, op, key: subject, retryable, problem } = error;
    return { code, op, subject, retryable, problem };
  }
}

async function stateOf(archive: Archive): Promise<unknown> {
  const objects: unknown[] = [];
  for await (const object of archive.list("")) objects.push({ ...object, head: await archive.head(object) });
  return objects;
}

test("file and memory archives cannot be told apart", async () => {
  const home = await mkdtemp(path.join(tmpdir(), "firnline-model-"));
  let round = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 30 }), async (commands) => {
        let clock = START;
        const options = {
          now: () => clock as EpochMs,
          random: randomBytes,
          restoreDelayMs: 5 * HOUR_MS,
          restoreDelayByTier: { Expedited: 60_000 },
        };
        const root = path.join(home, `${++round}`);
        const file = openFileArchive({ ...options, root });
        const memory = openMemoryArchive(options);
        for (const step of commands) {
          if (step.do === "advance") clock += step.ms;
          expect(await observed(file, step)).toEqual(await observed(memory, step));
        }
        expect(await stateOf(file)).toEqual(await stateOf(memory));
        // A new process sees the same: nothing was kept in memory only.
        expect(await stateOf(openFileArchive({ ...options, root }))).toEqual(await stateOf(memory));
        await rm(root, { recursive: true, force: true });
      }),
      { numRuns: Number(process.env["FIRNLINE_MODEL_RUNS"] ?? 150), endOnFailure: false },
    );
  } finally {
    await rm(home, { recursive: true });
  }
}, 300_000);
