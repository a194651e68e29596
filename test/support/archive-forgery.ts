/**
 * What a forger does to a copy of an archive. This one knows the format: hashes that stand in the way are made right
 * again, as far as the forgery says.
 */
import { createHash } from "node:crypto";
import { cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeRowGroup, readLayout, type SegmentLayout } from "../../src/parquet/read-segment.ts";
import { newParquetEncoder } from "../../src/parquet/encode/parquet-encoder.ts";
import { fromHex, toHex } from "../../src/rows/hex.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { canonicalBytes, type Json } from "../../src/segment/canonical-json.ts";
import { columnDigest, type NewSha256 } from "../../src/segment/digest.ts";
import { GENESIS, type JournalEntry, type JournalEvent } from "../../src/segment/journal.ts";
import { type Manifest, manifestRoot } from "../../src/segment/manifest.ts";

export type Sealed = Extract<JournalEvent, { type: "sealed" | "packed" }>;

const newHash: NewSha256 = () => createHash("sha256");
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export class Forgery {
  readonly root: string;
  readonly pipeline: string;

  constructor(root: string, pipeline: string) {
    this.root = root;
    this.pipeline = pipeline;
  }

  /** Works on a copy of the archive at `original`. */
  static async of(original: string, root: string, pipeline: string): Promise<Forgery> {
    await cp(original, root, { recursive: true });
    return new Forgery(root, pipeline);
  }

  async read(key: string): Promise<Buffer> {
    return await readFile(join(this.root, key));
  }

  /** Objects are read-only: in their place, if they are there, comes another. */
  async replace(key: string, bytes: Uint8Array): Promise<void> {
    await rm(join(this.root, key), { force: true });
    await writeFile(join(this.root, key), bytes);
  }

  journalKey(n: number): string {
    return `_firnline/${this.pipeline}/journal/${String(n).padStart(20, "0")}.json`;
  }

  async journal(): Promise<JournalEntry[]> {
    const names = await readdir(join(this.root, `_firnline/${this.pipeline}/journal`));
    return await Promise.all(
      names.sort().map(async (_, at) => JSON.parse((await this.read(this.journalKey(at + 1))).toString())),
    );
  }

  /** The sealed and packed segments that were not collected and did not expire, in order of the journal. */
  async sealed(): Promise<Sealed[]> {
    const entries = await this.journal();
    const collected = entries.flatMap(({ event }) =>
      event.type === "collected" || event.type === "expired" ? event.objects : [],
    );
    return entries.flatMap(({ event }) => {
      if (event.type !== "sealed" && event.type !== "packed") return [];
      return collected.some(({ key }) => key === event.object.key) ? [] : [event];
    });
  }

  async manifest(sealed: Sealed): Promise<Manifest> {
    return JSON.parse((await this.read(sealed.manifest.key)).toString());
  }

  /** Replaces the journal, with every `prev` right again. */
  async writeJournal(entries: readonly JournalEntry[]): Promise<void> {
    let prev = GENESIS;
    for (const entry of entries) {
      const bytes = canonicalBytes({ ...entry, prev } as unknown as Json);
      await this.replace(this.journalKey(Number(entry.n)), bytes);
      prev = sha256(bytes);
    }
  }

  /** Puts other bytes and another manifest in the place of a segment, with all SHA-256s and sizes right again. */
  async reseal(sealed: Sealed, object: Uint8Array, change: (manifest: Manifest) => Manifest): Promise<void> {
    const before = await this.manifest(sealed);
    const objectPin = { ...sealed.object, sha256: sha256(object), bytes: String(object.length) };
    const manifest = canonicalBytes(change({ ...before, object: objectPin }) as unknown as Json);
    await this.replace(sealed.object.key, object);
    await this.replace(sealed.manifest.key, manifest);
    const manifestPin = { ...sealed.manifest, sha256: sha256(manifest), bytes: String(manifest.length) };
    const event = { ...sealed, object: objectPin, manifest: manifestPin };
    const entries = await this.journal();
    await this.writeJournal(
      entries.map((entry) =>
        entry.event.type === sealed.type && entry.event.segment === sealed.segment
          ? { ...entry, event }
          : entry,
      ),
    );
  }

  /** The same Parquet file but for what `change` does to the fields of a chunk. */
  async rewriteObject(sealed: Sealed, change: (chunk: number, rows: RawRows) => void): Promise<Uint8Array> {
    const manifest = await this.manifest(sealed);
    const bytes = await this.read(sealed.object.key);
    const layout: SegmentLayout = await readLayout(manifest, async ({ start, end }) =>
      Promise.resolve(bytes.subarray(start, end)),
    );
    const encoder = newParquetEncoder("firnline version 0.0.0")(manifest.columns, {});
    const pieces: Uint8Array[] = [];
    for (const group of layout.rowGroups) {
      const chunks = await decodeRowGroup(manifest, layout, group, bytes.subarray(group.start, group.end));
      chunks.forEach((rows, at) => change(group.chunkFrom + at, rows));
      pieces.push((await encoder.rowGroup(chunks)).bytes);
    }
    return Buffer.concat([...pieces, await encoder.finish()]);
  }
}

const CHUNK = 1;
const ACTION = 2;

/** The same object with one byte of one value changed, and the manifest with the digest that belongs to it. */
async function otherValue(
  forgery: Forgery,
  sealed: Sealed,
): Promise<{ object: Uint8Array; withDigest: (manifest: Manifest) => Manifest }> {
  let changed = new Uint8Array();
  const object = await forgery.rewriteObject(sealed, (chunk, { columns }) => {
    if (chunk !== CHUNK) return;
    changed = columns[ACTION] as Uint8Array<ArrayBuffer>;
    changed[4] = (changed[4] as number) ^ 1; // the first byte after the length word
  });
  const withDigest = (manifest: Manifest): Manifest => {
    const { salts, digests } = manifest.chunks[CHUNK] as Manifest["chunks"][number];
    digests[ACTION] = toHex(columnDigest(newHash, fromHex(salts[ACTION] as string), changed));
    return manifest;
  };
  return { object, withDigest };
}

/** Does something to a copy with two sealed segments, and gives the line that must come of it, up to its varying end. */
type Tampering = (forgery: Forgery, first: Sealed, second: Sealed) => Promise<string>;

export const TAMPERINGS: Readonly<Record<string, Tampering>> = {
  "a byte of an object flips": async (forgery, _, { segment, object }) => {
    const bytes = await forgery.read(object.key);
    bytes[100] = (bytes[100] as number) ^ 1;
    await forgery.replace(object.key, bytes);
    return `BAD ${segment}: the object has ${bytes.length} bytes of SHA-256 `;
  },
  "two objects change places": async (forgery, first, second) => {
    const paths = [first, second].map(({ object }) => join(forgery.root, object.key)) as [string, string];
    await rename(paths[0], `${paths[0]}.aside`);
    await rename(paths[1], paths[0]);
    await rename(`${paths[0]}.aside`, paths[1]);
    return `BAD ${first.segment}: the object has `;
  },
  "an object is gone": async (forgery, first) => {
    await rm(join(forgery.root, first.object.key));
    return `BAD ${first.segment}: ENOENT`;
  },
  "a field of a manifest changes": async (forgery, first) => {
    const text = (await forgery.read(first.manifest.key)).toString();
    await forgery.replace(first.manifest.key, Buffer.from(text.replace('"epoch":"1"', '"epoch":"2"')));
    return `BAD ${first.segment}: the manifest has `;
  },
  "an entry of the journal is dropped": async (forgery) => {
    await rm(join(forgery.root, forgery.journalKey(7)));
    return "BAD journal 7: this entry is missing";
  },
  "an entry of the journal is edited": async (forgery) => {
    const entries = await forgery.journal();
    const deleted = entries.findIndex(({ event }) => event.type === "deleted") + 1;
    const text = (await forgery.read(forgery.journalKey(deleted))).toString();
    await forgery.replace(forgery.journalKey(deleted), Buffer.from(text.replace('"rows":"3"', '"rows":"2"')));
    return `BAD journal ${deleted + 1}: entry ${deleted} is not the one that it follows`;
  },
  "an entry is dropped and the others move up": async (forgery) => {
    const entries = await forgery.journal();
    for (const { n } of entries.slice(7)) {
      const text = (await forgery.read(forgery.journalKey(Number(n)))).toString();
      await forgery.replace(
        forgery.journalKey(Number(n) - 1),
        Buffer.from(text.replace(`"n":"${n}"`, `"n":"${Number(n) - 1}"`)),
      );
    }
    await rm(join(forgery.root, forgery.journalKey(entries.length)));
    return "BAD journal 7: entry 6 is not the one that it follows";
  },
  "an event of a later version stands in the journal": async (forgery) => {
    const entries = await forgery.journal();
    const last = entries.at(-1) as (typeof entries)[number];
    await forgery.writeJournal([...entries.slice(0, -1), { ...last, event: { type: "erased" } as never }]);
    return `BAD journal ${entries.length}: its event erased is of a later version`;
  },
  "a run of another archive stands in the journal": async (forgery) => {
    const entries = await forgery.journal();
    const started = entries.findLastIndex(({ event }) => event.type === "run-started");
    const { event } = entries[started] as JournalEntry;
    Object.assign(event, { archiveId: "00000000-0000-4000-8000-000000000000" });
    await forgery.writeJournal(entries);
    return `BAD journal ${started + 1}: another archive's`;
  },
  "a value changes and every SHA-256 is made right": async (forgery, first) => {
    await forgery.reseal(first, (await otherValue(forgery, first)).object, (manifest) => manifest);
    return `BAD ${first.segment}: chunk 1, column action: other values than sealed`;
  },
  "a value changes, and its digest in the manifest": async (forgery, first) => {
    const { object, withDigest } = await otherValue(forgery, first);
    await forgery.reseal(first, object, withDigest);
    return `BAD ${first.segment}: its chunks do not hash to its root`;
  },
  "a value changes, its digest and the manifest's root": async (forgery, first) => {
    const { object, withDigest } = await otherValue(forgery, first);
    await forgery.reseal(first, object, (manifest) => {
      const changed = withDigest(manifest);
      return { ...changed, root: manifestRoot(newHash, changed) };
    });
    return `BAD ${first.segment}: the manifest contradicts the journal`;
  },
  "an exception of the manifest changes": async (forgery, first) => {
    await forgery.reseal(first, await forgery.read(first.object.key), (manifest) => {
      const [exception] = manifest.chunks[0]?.exceptions ?? [];
      (exception as { field: string }).field = "000100000000000203e8";
      return manifest;
    });
    return `BAD ${first.segment}: chunk 0, column `;
  },
  "a chunk claims another range": async (forgery, first) => {
    await forgery.reseal(first, await forgery.read(first.object.key), (manifest) => {
      (manifest.chunks[2] as Manifest["chunks"][number]).from = {
        time: "2023-01-10 00:00:00.000000",
        key: null,
      };
      return manifest;
    });
    return `BAD ${first.segment}: its chunks do not hash to its root`;
  },
};
