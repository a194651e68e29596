/** What a test of an archive needs: an adapter to hold, bytes to give it, and ways to look at the result. */
import { createHash } from "node:crypto";

import { expect } from "vitest";

import { FirnlineError } from "../../../src/errors.ts";
import type { Archive, ByteRange, Locator, Pin } from "../../../src/archive/port.ts";
import type { EpochMs } from "../../../src/rows/day.ts";

/** What a store does of the contract's optional parts. What it cannot do is tested for the refusal that is promised. */
export interface StoreAbilities {
  /** `advance` moves its clock. Else it is the world's. */
  readonly clock: boolean;
  /** How a restore goes: it takes `restoreDelayMs` and its copy expires; it is ready at once; there are none. */
  readonly restores: "in time" | "at once" | "never";
  /** `setClass`; a bucket without versions refuses it. */
  readonly moves: boolean;
  /** Whether somebody can change the bytes of a version behind our back. */
  readonly corrupts: boolean;
  /** Object Lock. */
  readonly locks: boolean;
}

/** Of a store that is made for tests. */
export const OWN_STORE: StoreAbilities = {
  clock: true,
  restores: "in time",
  moves: true,
  corrupts: true,
  locks: false,
};

export interface ArchiveHarness {
  /** Empty. Standard restores take `restoreDelayMs`, and so do the other tiers. */
  readonly archive: Archive;
  readonly restoreDelayMs: number;
  /** The archive's clock, which moves by `advance` only. */
  now(): EpochMs;
  advance(ms: number): void;
  /** Changes the stored bytes behind the adapter's back. */
  corrupt(key: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void>;
  /** Open file handles on the archive's objects, where the adapter has such. */
  openHandles?(): number;
  /** What unfinished creates have left behind, where the adapter has a place for it. */
  leftovers?(): Promise<string[]>;
  dispose(): Promise<void>;
}

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const MIB = 1 << 20;
export const KEY = "audit_logs/daily/rule=default/dt=2026-01-03/000000000001-00.parquet";

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
export const at = (key: string): Locator => ({ key, versionId: null });

/** Bytes that differ at every offset of interest, so that a wrong range cannot look right. */
export function patterned(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = seed;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** `toEqual` walks arrays byte by byte, which takes half a second for 2 MiB. */
export function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.byteLength).toBe(expected.byteLength);
  expect(Buffer.compare(actual, expected), "the bytes differ").toBe(0);
}

export async function readAll(
  archive: Archive,
  object: Locator,
  range?: ByteRange,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive.read(object, range, signal)) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

export async function keysOf(archive: Archive, prefix = ""): Promise<string[]> {
  const listed = await Array.fromAsync(archive.list(prefix));
  return listed.map(({ key }) => key);
}

export async function failureOf(work: Promise<unknown>): Promise<FirnlineError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FirnlineError);
  return error as FirnlineError;
}

export async function created(
  archive: Archive,
  key: string,
  body: Uint8Array,
  storageClass?: string,
): Promise<Pin> {
  const result = await archive.create(key, body, storageClass === undefined ? {} : { storageClass });
  if (result.outcome !== "created") throw new Error(`${key} exists`);
  return result.pin;
}

/** A body in chunks of `size`, with a turn of the event loop between them. */
export async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += size) {
    await Promise.resolve();
    yield bytes.subarray(start, start + size);
  }
}
