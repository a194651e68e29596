/**
 * Manifests that a retrieval has looked at, kept for when their rows are due, so that each is read once: of a needle over
 * years they are half of all that is read. They are kept as text, which was verified, up to a bound (I10); what is beyond
 * it is read again.
 */
import { manifestLocator } from "../archive/locators.ts";
import { readManifestBytes, type SegmentReader } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { invariant } from "../errors.ts";
import { decodeManifest, type Manifest } from "../segment/manifest.ts";

const KEPT_BYTES_MAX = 16 * 1024 * 1024;

export class KeptManifests {
  readonly #reader: SegmentReader;
  readonly #bytesMax: number;
  readonly #kept = new Map<string, Uint8Array>();
  /** What the object of each hashes to: some hundred bytes a segment, as the catalog's record has. */
  readonly #objects = new Map<string, string>();
  #bytes = 0;

  constructor(reader: SegmentReader, bytesMax = KEPT_BYTES_MAX) {
    this.#reader = reader;
    this.#bytesMax = bytesMax;
  }

  /** The manifest, which is kept for `take` if there is room. Throws `E_VERIFY` unless it is the one that the catalog pins. */
  async look(record: SegmentRecord): Promise<Manifest> {
    const text = await readManifestBytes(this.#reader, record);
    const name = nameOf(record);
    if (!this.#kept.has(name) && this.#bytes + text.length <= this.#bytesMax) {
      this.#kept.set(name, text);
      this.#bytes += text.length;
    }
    return this.#decode(record, text);
  }

  /** The manifest for the last time: it is not kept any longer. */
  async take(record: SegmentRecord): Promise<Manifest> {
    const name = nameOf(record);
    const kept = this.#kept.get(name);
    if (kept === undefined) return this.#decode(record, await readManifestBytes(this.#reader, record));
    this.#kept.delete(name);
    this.#bytes -= kept.length;
    return this.#decode(record, kept);
  }

  /** SHA-256 of the segment's object, by its manifest, which was looked at before. */
  objectHash(record: SegmentRecord): string {
    const sha256 = this.#objects.get(nameOf(record));
    invariant(sha256 !== undefined, `segment ${record.segment}`, "its manifest was not looked at");
    return sha256;
  }

  #decode(record: SegmentRecord, text: Uint8Array): Manifest {
    const { newHash, pipeline } = this.#reader;
    const manifest = decodeManifest(newHash, text, manifestLocator(pipeline, record).key);
    this.#objects.set(nameOf(record), manifest.object.sha256);
    return manifest;
  }
}

/** What the catalog pins may have changed between two looks: a segment that was rewritten has another manifest. */
const nameOf = ({ segment, manifest }: SegmentRecord): string => `${segment} ${manifest?.sha256 ?? ""}`;
