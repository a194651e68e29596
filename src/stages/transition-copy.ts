/**
 * The class of an object is changed by us: in place in a folder; in a bucket by a copy over itself, which is a new version;
 * or into a vault. Whatever has a new name is verified and journaled before the old version goes.
 *
 * What was sealed is hashed once more right before the copy: afterwards it may cost a restore to read. Of the copy, which
 * the server makes of exactly that version, the hash is taken where it can be read at once; else its size and, where the
 * store's ETags are MD5s, its ETag tell.
 *
 * A crash before the journal leaves a version that nothing names, one after it leaves the old version: `collect` removes
 * either.
 */
import { createHash } from "node:crypto";
import { objectLocator } from "../archive/locators.ts";
import type { Locator, ObjectHead } from "../archive/port.ts";
import { differs, hashObject } from "../archive/read-object.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import { toHex } from "../rows/hex.ts";
import type { StageContext } from "./context.ts";

/** Why this pipeline's objects cannot be moved by copies; null where they can, or are moved otherwise. */
export async function copyProblem<Tx>({
  archive,
  policy,
}: Pick<Environment<Tx>, "archive" | "policy">): Promise<FirnlineError | null> {
  const { cold } = policy;
  const isCopied = cold?.transition === "copy" && cold.vault === null;
  if (!isCopied || !policy.archive.url.startsWith("s3:")) return null;
  if ((await archive.traits()).versions) return null;
  return new FirnlineError({
    code: "E_BUCKET",
    subject: archive.url,
    problem: "the bucket keeps no versions, and tiers.cold.transition: copy writes objects over themselves",
    hint: "Turn on the bucket's versioning, or use transition: lifecycle",
  });
}

/** A segment, and what its object hashes to by its manifest. */
export interface SealedSegment {
  readonly record: SegmentRecord;
  readonly sha256: string;
}

/** Names what lies in `storageClass` now: the object itself, or a new version of it. */
export async function moveByCopy<Tx>(
  context: StageContext<Tx>,
  sealed: SealedSegment,
  before: ObjectHead,
  storageClass: string,
): Promise<Locator> {
  const { archive, policy } = context;
  const problem = await copyProblem(context);
  if (problem !== null) throw problem;
  const { key, versionId } = before;
  const object: Locator = { key, versionId };
  const { versions } = await archive.traits();
  if (!versions && policy.cold?.vault === null) return await archive.setClass(object, storageClass);
  const { md5 } = await requireSealed(context, sealed, object);
  const moved = await archive.setClass({ ...object, sha256: sealed.sha256 }, storageClass);
  if (isSame(moved, object)) return moved;
  await requireSameCopy(context, sealed, { before, moved, md5 });
  // A vault has no locks; what a hold keeps there, the catalog keeps.
  if (policy.cold?.vault === null) await lockAsBefore(context, before, moved);
  return moved;
}

/** The journal does not name it any more. What a retrieval reads, or a lock holds, is left to `collect`. */
export async function removeOldVersion<Tx>(
  { archive, clock, failpoint, policy, upkeep }: StageContext<Tx>,
  { segment }: SegmentRecord,
  before: ObjectHead,
  after: Locator,
): Promise<void> {
  if (isSame(before, after)) return;
  if (isLocked(before, clock.now())) return;
  if ((await upkeep.pinned(policy.pipeline)).has(segment)) return;
  await archive.deleteVersion({ key: before.key, versionId: before.versionId });
  failpoint("transition.removed");
}

const isSame = (left: Locator, right: Locator): boolean =>
  left.key === right.key && left.versionId === right.versionId;

const isLocked = ({ isHeld, retention }: ObjectHead, now: number): boolean =>
  isHeld || (retention !== null && retention.until > now);

/** What is there is what was sealed, byte for byte; its MD5 is what a store's ETag may be. */
async function requireSealed<Tx>(
  { archive, newHash, policy, signal }: StageContext<Tx>,
  { record, sha256 }: SealedSegment,
  object: Locator,
): Promise<{ md5: string }> {
  const { key } = objectLocator(policy.pipeline, record);
  let hash = newHash();
  const md5 = createHash("md5");
  for await (const piece of archive.read(object, undefined, signal)) {
    hash = hash.update(piece);
    md5.update(piece);
  }
  const found = toHex(hash.digest());
  if (found === sha256) return { md5: md5.digest("hex") };
  throw differs(key, `its SHA-256 is ${found}, ${sha256} was sealed, so it is not moved`);
}

interface Copy {
  readonly before: ObjectHead;
  readonly moved: Locator;
  readonly md5: string;
}

async function requireSameCopy<Tx>(
  { archive, newHash, signal }: StageContext<Tx>,
  { record, sha256 }: SealedSegment,
  { before, moved, md5 }: Copy,
): Promise<void> {
  const after = await archive.head(moved);
  // Without it, or with another size, the caller refuses.
  if (after === null || after.bytes !== record.object?.bytes) return;
  if (after.access.state === "readable") {
    const found = await hashObject(archive, newHash, moved, signal);
    if (found === sha256) return;
    throw otherCopy(moved, `its SHA-256 is ${found}, ${sha256} was sealed`);
  }
  const [was, is] = [before, after].map(({ etag }) => etag?.replaceAll('"', "") ?? null);
  // Encrypted with a key of KMS, or written in parts, an ETag says nothing of the bytes.
  const isMd5 = was === md5 && is !== null && /^[0-9a-f]{32}$/.test(is as string);
  if (isMd5 && is !== md5) throw otherCopy(moved, `its ETag is ${is}, the MD5 of what was sealed is ${md5}`);
}

function otherCopy({ key, versionId }: Locator, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_VERIFY",
    subject: key,
    problem: `the copy in the cold class (version ${versionId}) is not what was copied: ${problem}`,
    hint: "The sealed version is there and counts; `firnline collect` removes the copy, and the next run tries again",
    key,
  });
}

/** A copy has no lock of its own. */
async function lockAsBefore<Tx>(
  { archive, clock }: StageContext<Tx>,
  { isHeld, retention }: ObjectHead,
  moved: Locator,
): Promise<void> {
  if (retention !== null && retention.until > clock.now()) await archive.retain(moved, retention);
  if (isHeld) await archive.hold(moved, true);
}
