/**
 * The store's witness: sees each object come and go, and reads it with nothing of the product's. The journal is a chain
 * (I5), no name is ever used for other bytes (I3).
 */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import { PIPELINE } from "../model/terms.ts";
import { lineOf } from "./rows.ts";

export interface Event {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface Entry {
  readonly n: number;
  readonly entryId: string;
  readonly epoch: bigint;
  readonly sha256: string;
  readonly event: Event;
}

const JOURNAL = `_firnline/${PIPELINE}/journal/`;
const MANIFEST = `_firnline/${PIPELINE}/manifests/`;
export const GENESIS = "0".repeat(64);
export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export class Objects {
  readonly journal: Entry[] = [];
  /** SHA-256 by key, of all that ever were. */
  readonly hashes = new Map<string, string>();
  /** What the object of each manifest hashes to, by the manifest's own hash. */
  readonly #sealed = new Map<string, string>();
  /** Rows of each chunk's manifest, by segment. */
  readonly #counts = new Map<string, readonly number[]>();
  /** Lines of each segment, in order. Filled before the next turn. */
  readonly #lines = new Map<string, readonly string[]>();

  created(key: string, bytes: Uint8Array): void {
    const hash = sha256(bytes);
    const before = this.hashes.get(key);
    assert(before === undefined || before === hash, `I3: ${key} was written again with other bytes`);
    this.hashes.set(key, hash);
    if (key.startsWith(JOURNAL)) this.#follow(key, bytes, hash);
    else if (key.startsWith(MANIFEST)) {
      const { chunks, object } = JSON.parse(Buffer.from(bytes).toString("utf8")) as {
        chunks: { rows: number }[];
        object: { sha256: string };
      };
      this.#sealed.set(hash, object.sha256);
      this.#counts.set(
        nameOf(key),
        chunks.map(({ rows }) => rows),
      );
    } else void this.#read(key, bytes.slice());
  }

  #follow(key: string, bytes: Uint8Array, hash: string): void {
    const entry = JSON.parse(Buffer.from(bytes).toString("utf8")) as {
      n: string;
      prev: string;
      entryId: string;
      epoch: string;
      event: Event;
    };
    const n = this.journal.length + 1;
    assert.equal(key, `${JOURNAL}${String(n).padStart(20, "0")}.json`, "I5: a gap in the journal");
    const prev = this.journal.at(-1)?.sha256 ?? GENESIS;
    assert.deepEqual(
      { n: entry.n, prev: entry.prev },
      { n: String(n), prev },
      `I5: ${key} continues another chain`,
    );
    assert(
      this.journal.every(({ entryId }) => entryId !== entry.entryId),
      `I5: entry ${entry.entryId} is journaled twice`,
    );
    const { entryId, event, epoch } = entry;
    this.journal.push({ n, entryId, epoch: BigInt(epoch), sha256: hash, event });
  }

  async #read(key: string, bytes: Uint8Array): Promise<void> {
    const rows = await parquetReadObjects({
      file: bytes.buffer as ArrayBuffer,
      compressors: { ZSTD: (input) => zstdDecompressSync(input) },
      parsers: { timestampFromMicroseconds: (micros: bigint) => micros as never },
    });
    this.#lines.set(nameOf(key), rows.map(lineOf));
  }

  /** What the object of this manifest hashes to. */
  sealed(manifest: string): string {
    const hash = this.#sealed.get(manifest);
    assert(hash !== undefined, `I1: no manifest hashes to ${manifest}`);
    return hash;
  }

  /** Lines of a sealed segment, chunk by chunk. */
  chunks(segment: string): readonly (readonly string[])[] {
    const [lines, counts] = [this.#lines.get(segment), this.#counts.get(segment)];
    assert(
      lines !== undefined && counts !== undefined,
      `I1: segment ${segment} counts, and was never archived`,
    );
    let at = 0;
    const chunks = counts.map((count) => lines.slice(at, (at += count)));
    assert.equal(at, lines.length, `segment ${segment} has other rows than its manifest`);
    return chunks;
  }

  events(type: string): Event[] {
    return this.journal.flatMap(({ event }) => (event.type === type ? [event] : []));
  }
}

/** `.../0001-abc.parquet` -> `0001-abc`. */
export const nameOf = (key: string): string => key.slice(key.lastIndexOf("/") + 1).replace(/\.[a-z]+$/, "");
