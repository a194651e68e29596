/**
 * Which objects of the archive nothing names any more, by the journal and a listing of all versions. Of a key that the
 * journal names it is every version but the one that it pins: a copy that a killed transition left, or the one before it.
 * Delete markers are nobody's garbage: nothing of ours makes them, and `verify` tells of those over pinned versions.
 */
import type { CatalogContents, GarbageObject } from "../catalog/upkeep.ts";
import { inParallel, readJournaledManifest } from "../archived/read-manifests.ts";
import { VAULT_CLASS } from "../archive/port.ts";
import { checkpoint, type Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import { manifestFolder, objectFolder, segmentOfKey } from "../segment/archive-keys.ts";
import type { History, SegmentHistory } from "../segment/history.ts";
import { isWhollySuperseded } from "../segment/standing.ts";
import type { SegmentState } from "../segment/state.ts";

export interface Listing {
  readonly objects: readonly GarbageObject[];
  /** Keys that are none of Firnline's: they are nobody's garbage. */
  readonly foreign: number;
}

/** Uploads that a run may still seal. */
const UNDER_WAY: readonly SegmentState[] = ["exporting", "uploaded"];
const REPORT_EVERY = 1_000n;

/** `E_VERIFY` if the listing lacks an object that must be there, or shows it with another size. */
export async function listGarbage<Tx>(
  environment: Environment<Tx>,
  history: History,
  contents: CatalogContents,
  signal: AbortSignal,
): Promise<Listing> {
  const { archive, policy, report } = environment;
  const { pipeline } = policy;
  const given = await givenUp(environment, history, contents, signal);
  const expected = new Map<string, Pinned>();
  const found = new Set<string>();
  for (const one of history.segments.values()) {
    // What expires is the stage's business until nothing of it is left.
    if (given.has(one.segment) || one.isExpiring) continue;
    for (const { key, versionId, bytes } of [one.object, one.manifest]) {
      // What is in a vault is in no listing of the bucket; what is left of it there is an old version.
      const isElsewhere = key === one.object.key && one.storageClass === VAULT_CLASS;
      if (isElsewhere) found.add(key);
      expected.set(key, { versionId, bytes: BigInt(bytes), isElsewhere });
    }
  }
  const objects: GarbageObject[] = [];
  let foreign = 0;
  let listed = 0n;
  for (const folder of [manifestFolder(pipeline), objectFolder(pipeline)]) {
    for await (const { key, versionId, bytes, isDeleteMarker } of archive.listVersions(folder)) {
      listed += 1n;
      if (listed % REPORT_EVERY === 0n) {
        checkpoint(signal);
        report({ stage: "collect", subject: pipeline, rows: listed, bytes: 0n });
      }
      if (isDeleteMarker) continue;
      const segment = segmentOfKey(key);
      const pinned = expected.get(key);
      if (segment === null) foreign += 1;
      else if (pinned !== undefined) {
        if (isPin(pinned, versionId)) {
          if (pinned.bytes !== bytes) throw otherSize(key, bytes, pinned.bytes);
          found.add(key);
        } else if (pinned.versionId !== null) objects.push({ key, versionId, bytes });
      } else if (given.has(segment) || isUnnamed(segment, history, contents)) {
        objects.push({ key, versionId, bytes });
      }
    }
  }
  const missing = [...expected.keys()].filter((key) => !found.has(key));
  if (missing[0] !== undefined) throw notListed(missing[0], missing.length);
  return { objects, foreign };
}

interface Pinned {
  /** Null where the store has no versions, or none was named: then nobody knows which of several it is. */
  readonly versionId: string | null;
  readonly bytes: bigint;
  readonly isElsewhere: boolean;
}

const isPin = (pinned: Pinned, versionId: string | null): boolean =>
  !pinned.isElsewhere && (pinned.versionId === null || pinned.versionId === versionId);

/** Segments that were collected, or are wholly superseded: by the journal, and by the catalog too. */
async function givenUp<Tx>(
  environment: Environment<Tx>,
  history: History,
  contents: CatalogContents,
  signal: AbortSignal,
): Promise<Set<string>> {
  const { policy } = environment;
  const reader = { ...environment, pipeline: policy.pipeline, archiveId: history.archiveId ?? "", signal };
  const given = new Set<string>();
  const doubtful: SegmentHistory[] = [];
  for (const one of history.segments.values()) {
    if (one.isCollected || one.isExpired) given.add(one.segment);
    else if (contents.segments.get(one.segment)?.record.state === "superseded") doubtful.push(one);
  }
  // The journal names chunks, and how many there are stands in the manifest.
  await inParallel(doubtful, async (one) => {
    checkpoint(signal);
    const manifest = await readJournaledManifest(reader, one);
    if (isWhollySuperseded(one, manifest.chunks.length)) given.add(one.segment);
  });
  return given;
}

function isUnnamed(segment: string, history: History, { segments }: CatalogContents): boolean {
  const state = segments.get(segment)?.record.state;
  return !history.segments.has(segment) && (state === undefined || !UNDER_WAY.includes(state));
}

function notListed(key: string, count: number): FirnlineError {
  const more = count > 1 ? `, and ${count - 1} more` : "";
  return new FirnlineError({
    code: "E_VERIFY",
    subject: key,
    problem: `the listing of the archive lacks it${more}, and the journal says that it must be there`,
    hint: "Nothing was removed. `firnline verify` says whether it is gone, or the listing was behind",
    key,
  });
}

function otherSize(key: string, found: bigint, expected: bigint): FirnlineError {
  return new FirnlineError({
    code: "E_VERIFY",
    subject: key,
    problem: `it has ${found} bytes, and ${expected} were sealed`,
    hint: "Nothing was removed. `firnline verify` says what else differs",
    key,
  });
}
