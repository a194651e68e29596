/**
 * What the archive holds, read with nothing of the product's: the journal's chain with `node:crypto`, manifests as plain
 * JSON, objects by hyparquet into plain values.
 */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import { lineOf, textOfMicros } from "./rows.ts";
import { PIPELINE } from "./terms.ts";

export interface Event {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface Decided {
  readonly entryId: string;
  readonly event: Event;
}

interface ChunksOf {
  readonly segment: string;
  readonly chunks: readonly number[];
}

interface Sealed {
  readonly segment: string;
  readonly object: { readonly key: string; readonly sha256: string };
  readonly manifest: { readonly key: string; readonly sha256: string };
  readonly supersedes?: readonly ChunksOf[];
  readonly from?: readonly ChunksOf[];
}

const JOURNAL = `_firnline/${PIPELINE}/journal/`;
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** One archive over time. */
export class ArchiveReading {
  readonly #objects = new Map<string, Uint8Array>();
  readonly #journal: Decided[] = [];
  /** Hashes of the entries; in front, what the first one names as its predecessor. */
  readonly #heads = ["0".repeat(64)];
  /** Lines of each segment, chunk by chunk. */
  readonly #rows = new Map<string, readonly (readonly string[])[]>();

  /** Entries of the journal, oldest first. */
  get journal(): readonly Decided[] {
    return this.#journal;
  }

  /** Whether `head` is the last entry's hash, or the one before it while the last is decided and not yet applied. */
  isFollowed(head: string, outbox: readonly Decided[]): boolean {
    if (head === this.#heads.at(-1)) return true;
    const last = this.#journal.at(-1)?.entryId;
    return head === this.#heads.at(-2) && outbox.some(({ entryId }) => entryId === last);
  }

  /** Takes a look at all objects: none may have changed or gone (I3), and the journal is a chain (I5). */
  look(objects: ReadonlyMap<string, Uint8Array>): void {
    for (const [key, before] of this.#objects) {
      const now = objects.get(key);
      assert(now !== undefined && Buffer.compare(before, now) === 0, `I3: ${key} was overwritten or removed`);
    }
    for (const [key, bytes] of [...objects].sort(([left], [right]) => (left < right ? -1 : 1))) {
      if (this.#objects.has(key)) continue;
      this.#objects.set(key, bytes);
      if (key.startsWith(JOURNAL)) this.#follow(key, bytes);
    }
  }

  #follow(key: string, bytes: Uint8Array): void {
    const entry = JSON.parse(Buffer.from(bytes).toString("utf8")) as Decided & { n: string; prev: string };
    const n = this.#journal.length + 1;
    assert.equal(key, `${JOURNAL}${String(n).padStart(20, "0")}.json`, "I5: a gap in the journal");
    assert.deepEqual(
      { n: entry.n, prev: entry.prev },
      { n: String(n), prev: this.#heads.at(-1) },
      `I5: ${key}`,
    );
    this.#journal.push({ entryId: entry.entryId, event: entry.event });
    this.#heads.push(sha256(bytes));
  }

  /** The journal, and what is decided and not in it yet. */
  events(outbox: readonly Decided[]): Event[] {
    const known = new Set(this.#journal.map(({ entryId }) => entryId));
    const pending = outbox.filter(({ entryId }) => !known.has(entryId));
    return [...this.#journal, ...pending].map(({ event }) => event);
  }

  /** Chunks whose rows are in the archive alone, by the events. */
  async prunedBy(events: readonly Event[]): Promise<ChunksOf[]> {
    const of = (type: string): Event[] => events.filter((event) => event.type === type);
    const pruned = new Map<string, Set<number>>();
    for (const { segment, chunks } of of("pruned") as unknown as ChunksOf[]) {
      const known = pruned.get(segment) ?? new Set();
      for (const chunk of chunks) {
        assert(!known.has(chunk), `chunk ${chunk} of ${segment} is pruned twice`);
        known.add(chunk);
      }
      pruned.set(segment, known);
    }
    const sealed = of("sealed") as unknown as Sealed[];
    const packed = of("packed") as unknown as Sealed[];
    const givenUp = [
      ...(of("superseded") as unknown as ChunksOf[]),
      ...sealed.flatMap(({ supersedes }) => supersedes ?? []),
    ];
    for (const { segment, chunks } of givenUp) {
      for (const chunk of chunks) {
        assert(
          pruned.get(segment)?.has(chunk) !== true,
          `I2: pruned chunk ${chunk} of ${segment} was superseded`,
        );
      }
    }
    const known = new Set([...sealed, ...packed].map(({ segment }) => segment));
    for (const segment of pruned.keys())
      assert(known.has(segment), `I1: ${segment} is pruned and not sealed`);
    for (const one of packed) {
      const rows = await this.#rowsOf(one);
      pruned.set(one.segment, new Set(rows.keys()));
      for (const { segment, chunks } of one.from ?? []) {
        for (const chunk of chunks) {
          assert(
            pruned.get(segment)?.delete(chunk),
            `I2: chunk ${chunk} of ${segment} was packed, not pruned`,
          );
        }
      }
    }
    for (const one of sealed) if (pruned.has(one.segment)) await this.#rowsOf(one);
    return [...pruned].map(([segment, chunks]) => ({ segment, chunks: [...chunks] }));
  }

  /** Lines of chunks that `prunedBy` has seen; null for all chunks of the segment. */
  lines(
    chunks: readonly { readonly segment: string; readonly chunks: readonly number[] | null }[],
  ): string[] {
    return chunks.flatMap(({ segment, chunks: wanted }) => {
      if (wanted?.length === 0) return [];
      const rows = this.#rows.get(segment);
      assert(rows !== undefined, `I1: segment ${segment} counts as pruned, and nothing says so`);
      return (wanted ?? [...rows.keys()]).flatMap((chunk) => rows[chunk] ?? []);
    });
  }

  async #rowsOf({ segment, object, manifest }: Sealed): Promise<readonly (readonly string[])[]> {
    const known = this.#rows.get(segment);
    if (known !== undefined) return known;
    const document = JSON.parse(Buffer.from(this.#pinned(manifest)).toString("utf8")) as {
      chunks: readonly { readonly rows: number }[];
    };
    const bytes = this.#pinned(object);
    const rows = await parquetReadObjects({
      file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
      compressors: { ZSTD: (input) => zstdDecompressSync(input) },
      parsers: { timestampFromMicroseconds: textOfMicros },
    });
    const lines = rows.map((row) =>
      lineOf(
        Object.fromEntries(
          Object.entries(row).map(([name, value]) => [
            name,
            typeof value === "bigint" ? Number(value) : value,
          ]),
        ),
      ),
    );
    const chunks = document.chunks.map((chunk) => lines.splice(0, chunk.rows));
    assert.equal(lines.length, 0, `${object.key} has more rows than its manifest`);
    this.#rows.set(segment, chunks);
    return chunks;
  }

  #pinned({ key, sha256: expected }: Sealed["object"]): Uint8Array {
    const bytes = this.#objects.get(key);
    assert(bytes !== undefined, `I1: ${key} is sealed and missing`);
    assert.equal(sha256(bytes), expected, `I1: ${key} is not what was sealed`);
    return bytes;
  }
}
