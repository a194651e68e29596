/** Which objects of the archive nothing names any more, by the journal and a listing. */
import type { CatalogContents, GarbageObject } from "../catalog/upkeep.ts";
import { inParallel, readJournaledManifest } from "../archived/read-manifests.ts";
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
  const expected = new Map<string, bigint>();
  for (const one of history.segments.values()) {
    if (given.has(one.segment)) continue;
    for (const { key, bytes } of [one.object, one.manifest]) expected.set(key, BigInt(bytes));
  }
  const objects: GarbageObject[] = [];
  let foreign = 0;
  let listed = 0n;
  for (const folder of [manifestFolder(pipeline), objectFolder(pipeline)]) {
    for await (const { key, versionId, bytes } of archive.list(folder)) {
      listed += 1n;
      if (listed % REPORT_EVERY === 0n) {
        checkpoint(signal);
        report({ stage: "collect", subject: pipeline, rows: listed, bytes: 0n });
      }
      const segment = segmentOfKey(key);
      if (segment === null) foreign += 1;
      else if (expected.get(key) === bytes) expected.delete(key);
      else if (expected.has(key)) throw otherSize(key, bytes, expected.get(key) as bigint);
      else if (given.has(segment) || isUnnamed(segment, history, contents)) {
        objects.push({ key, versionId, bytes });
      }
    }
  }
  const [missing] = expected.keys();
  if (missing !== undefined) throw notListed(missing, expected.size);
  return { objects, foreign };
}

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
    if (one.isCollected) given.add(one.segment);
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
