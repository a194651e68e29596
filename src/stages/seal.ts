/**
 * seal: the object is read back from the archive, decoded to physical values by a reader that shares no code with the
 * writer, and every column digest is taken again. Only then come the manifest and the journal entry `sealed`, which is
 * the archive's commit point; the catalog follows.
 */
import { objectLocator } from "../archive/locators.ts";
import type { Pin } from "../archive/port.ts";
import { readBytes } from "../archive/read-object.ts";
import { verifyObject } from "../archived/verify-object.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import { toHex } from "../rows/hex.ts";
import { manifestKey } from "../segment/archive-keys.ts";
import type { ChunksOf } from "../segment/journal.ts";
import { decodeManifest } from "../segment/manifest.ts";
import type { StageContext } from "./context.ts";
import { lockOfAll, protectSegment } from "./lock.ts";

/** What the segment does to others: a new export replaces chunks that are still hot, a packed one holds pruned ones. */
export type Replacing =
  | { readonly supersedes: readonly ChunksOf[] }
  | { readonly packs: readonly ChunksOf[] };

export async function sealSegment<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
  replacing: Replacing = { supersedes: [] },
): Promise<SegmentRecord> {
  const { archive, catalog, failpoint, journal, lease, newHash, policy, report } = context;
  const { pipeline } = policy;
  const draft = await catalog.draft(pipeline, record.segment);
  const manifest = decodeManifest(newHash, draft, manifestKey(pipeline, record.segment));
  const verdict = await verifyObject(
    {
      ...context,
      onProgress: (rows, bytes) => report({ stage: "seal", subject: record.segment, rows, bytes }),
    },
    objectLocator(pipeline, record),
    manifest,
  );
  failpoint("seal.read");
  if (verdict.verdict === "differs") {
    // Nothing refers to the object and its rows are still hot: give it up, the next run exports them anew.
    await catalog.abandon(lease, record.segment);
    throw new FirnlineError({
      code: "E_VERIFY",
      subject: manifest.object.key,
      problem: `what was read back is not what was exported: ${verdict.reason}`,
      hint: "Its rows stay in Postgres and are exported again by the next run; check the store if it comes back",
      key: manifest.object.key,
    });
  }
  const key = manifestKey(pipeline, record.segment);
  const created = await archive.create(key, draft);
  const manifestPin = created.outcome === "created" ? created.pin : await pinOfSame(context, key, draft);
  failpoint("seal.manifest");
  // Its rows are in other segments of the archive alone, which it takes the place of: it is kept for as long as they are.
  if ("packs" in replacing) {
    const { versionId, sha256, bytes } = manifestPin;
    const sources: SegmentRecord[] = [];
    for (const { segment } of replacing.packs) sources.push(await catalog.segment(pipeline, segment));
    const pinned = { ...record, manifest: { versionId, sha256, bytes } };
    await protectSegment(context, pinned, await lockOfAll(context, sources));
  }
  const sealed = {
    segment: record.segment,
    rule: record.rule,
    dayFrom: manifest.dayFrom,
    dayTo: manifest.dayTo,
    rows: manifest.rows,
    object: manifest.object,
    manifest: { ...manifestPin, bytes: manifestPin.bytes.toString() },
    root: manifest.root,
    storageClass: record.storageClass,
  };
  await journal.append(
    "packs" in replacing
      ? { type: "packed", ...sealed, from: [...replacing.packs] }
      : { type: "sealed", ...sealed, supersedes: [...replacing.supersedes] },
  );
  failpoint("seal.sealed");
  return await catalog.segment(pipeline, record.segment);
}

/** A manifest that is there already must be the very same: a crash came between its upload and its journal entry. */
async function pinOfSame<Tx>(
  { archive, newHash }: StageContext<Tx>,
  key: string,
  expected: Uint8Array,
): Promise<Pin> {
  const head = await archive.head({ key, versionId: null });
  const found =
    head?.bytes === BigInt(expected.length)
      ? await readBytes(archive, head, { start: 0, end: expected.length })
      : new Uint8Array();
  if (head !== null && toHex(found) === toHex(expected)) {
    const { versionId, etag, bytes } = head;
    return { key, versionId, etag, sha256: toHex(newHash().update(expected).digest()), bytes };
  }
  throw new FirnlineError({
    code: "E_OWNER",
    subject: key,
    problem: "another manifest of this segment is there already",
    hint: "Another database writes to this archive; find out which, nothing was deleted",
    key,
  });
}
