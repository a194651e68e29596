/**
 * A store in memory whose calls wait for their turn, fail, and lose their answers. What it holds and how it behaves is
 * `src/archive/memory`'s, which holds the port's own conformance suite; here is only what goes wrong on the way, and a
 * witness who sees every object that comes and goes (I3).
 */
import { type MemoryArchive, openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { Archive, CreateOptions, Locator } from "../../src/archive/port.ts";
import { FirnlineError } from "../../src/errors.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import type { Chance } from "./chance.ts";
import { sha256 } from "./objects.ts";
import type { Call, Process, Scheduler } from "./scheduler.ts";

export interface Witness {
  created(process: Process, key: string, bytes: Uint8Array, isDamaged: boolean): void;
  removed(process: Process, object: Locator): void;
}

export class SimulatedStore {
  readonly memory: MemoryArchive;
  readonly #scheduler: Scheduler;
  readonly #witness: Witness;

  constructor(options: { scheduler: Scheduler; chance: Chance; versioned: boolean; witness: Witness }) {
    const { scheduler, chance, versioned } = options;
    this.#scheduler = scheduler;
    this.#witness = options.witness;
    this.memory = openMemoryArchive({
      now: () => scheduler.now as EpochMs,
      random: (bytes) => chance.bytes(bytes),
      versioned,
      restoreDelayMs: 5 * 3_600_000,
      url: "memory://events",
    });
  }

  /** The store as one process sees it. */
  of(process: Process): Archive {
    const { memory } = this;
    const witness = this.#witness;
    const failure = (op: string) => (): FirnlineError =>
      new FirnlineError({
        code: "E_ARCHIVE",
        subject: op,
        problem: "the store broke off",
        hint: "Run again",
        op,
        retryable: this.#scheduler.chance.oneIn(2),
      });
    // The memory archive decides in one step, so that its promise needs nobody's turn.
    const step = async <T>(call: Call, op: string, effect: () => Promise<T>): Promise<T> => {
      const begin = (): { promise: Promise<T> } => {
        const promise = effect();
        // Nobody may be there any more to hear that it failed.
        promise.catch(() => {});
        return { promise };
      };
      return await (
        await this.#scheduler.call(process, call, begin, failure(op))
      ).promise;
    };
    const scheduler = this.#scheduler;

    async function* pieces<T>(
      call: Call,
      op: string,
      open: () => AsyncIterable<T>,
    ): AsyncGenerator<T, void, undefined> {
      await scheduler.call(process, call, () => {}, failure(op));
      yield* open();
    }

    return {
      url: memory.url,
      examine: async () => await step("look", "examine", async () => await memory.examine()),
      traits: async () => await memory.traits(),
      async create(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options?: CreateOptions) {
        const bytes = await collect(body);
        return await step("create", "create", async () => {
          const isNew = memory.versions(key).length === 0;
          const isDamaged = isNew && process.isDamaging && key.endsWith(".parquet");
          if (isNew) witness.created(process, key, bytes, isDamaged);
          if (!isDamaged) return await memory.create(key, bytes, options);
          const created = await memory.create(key, flipped(bytes), options);
          // What the caller hashed on the way is what it meant to store.
          if (created.outcome === "exists") return created;
          return { outcome: "created", pin: { ...created.pin, sha256: sha256(bytes) } };
        });
      },
      head: async (object) => await step("look", "head", async () => await memory.head(object)),
      read: (object, range, signal) => pieces("read", "read", () => memory.read(object, range, signal)),
      list: (prefix) => pieces("list", "list", () => memory.list(prefix)),
      listVersions: (prefix) => pieces("list", "listVersions", () => memory.listVersions(prefix)),
      tag: async (object, tags) => await step("change", "tag", async () => await memory.tag(object, tags)),
      setClass: async (object, storageClass) =>
        await step("change", "setClass", async () => await memory.setClass(object, storageClass)),
      restore: async (object, request) =>
        await step("change", "restore", async () => await memory.restore(object, request)),
      retain: async (object, retention) =>
        await step("change", "retain", async () => await memory.retain(object, retention)),
      hold: async (object, isHeld) =>
        await step("change", "hold", async () => await memory.hold(object, isHeld)),
      deleteVersion: async (object) =>
        await step("delete", "deleteVersion", async () => {
          const isThere = memory.versions(object.key).some(({ versionId }) => versionId === object.versionId);
          if (isThere) witness.removed(process, object);
          await memory.deleteVersion(object);
        }),
      abortUploads: async (key) =>
        await step("change", "abortUploads", async () => await memory.abortUploads(key)),
      sweepTemporary: async (olderThan) =>
        await step("change", "sweepTemporary", async () => await memory.sweepTemporary(olderThan)),
      [Symbol.asyncDispose]: async () => {},
    };
  }
}

function flipped(bytes: Uint8Array): Uint8Array {
  const damaged = bytes.slice();
  const at = damaged.length >> 1;
  damaged[at] = (damaged[at] as number) ^ 0x10;
  return damaged;
}

async function collect(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk.slice());
  return new Uint8Array(Buffer.concat(chunks));
}
