/**
 * Tries out what a create relies on: that a key which is taken is refused, that checksums are taken, that metadata comes
 * back; and what the policy asks for besides, encryption, tags and copies. Leaves nothing behind.
 */
import { HeadObjectCommand, type HeadObjectCommandOutput, PutObjectTaggingCommand } from "@aws-sdk/client-s3";
import type { FirnlineError } from "../../errors.ts";
import type { Advice } from "../../plan/advice.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { areConditionsHonoured } from "./conditions.ts";
import { moveObject } from "./copy-object.ts";
import { adviceOf, finding } from "./examination.ts";
import { isUnable } from "./failure.ts";
import { tagsOf } from "./head-object.ts";
import { creationOf, encryptionOf, type NewObject } from "./new-object.ts";
import { refusalOf } from "../sdk-refusal.ts";
import type { Traits } from "./traits.ts";

const IGNORED = "it ignores If-None-Match: two writers of one key would both believe that they won";
/** No rule looks for it. */
const TAG = { Key: "firnline-probe", Value: "1" } as const;

export async function tryOut(
  bucket: Bucket,
  traits: Traits,
  policy: Pick<Policy, "cold">,
  about: Where,
): Promise<{ readonly findings: readonly FirnlineError[]; readonly advice: readonly Advice[] }> {
  const told = (error: unknown): never => {
    throw isUnable(error) ? unableToCreate(about, bucket, error) : error;
  };
  const known = await traits.forProbe().catch(told);
  let findings: FirnlineError[] = [];
  const advice: Advice[] = [];
  const probed = areConditionsHonoured(bucket, about.op, known, async (probe) => {
    const head = await bucket.call(probe.where, "s3:GetObject", async (s3, how) => {
      return await s3.send(new HeadObjectCommand(bucket.object(probe.where)), how);
    });
    const found = [metadataFinding(about, probe, head), encryptionFinding(about, bucket, head)];
    if (needsTags(policy)) found.push(await tagsFinding(about, bucket, probe, head));
    if (needsCopies(policy) && (await traits.keepsVersions())) {
      found.push(await copiesFinding(about, bucket, probe, policy.cold?.storageClass as string));
    }
    // A trial that broke off later is made again.
    findings = found.filter((one) => one !== null);
  });
  const isHonoured = await probed.catch(told);
  if (!isHonoured && (await traits.keepsVersions())) {
    // Versions let us see afterwards who was first (`exclusive.ts`).
    const hint =
      "Firnline compares versions afterwards, and the oldest counts; a store with conditional writes is safer";
    advice.push(adviceOf(about.key, IGNORED, hint));
  } else if (!isHonoured) {
    const hint =
      "Turn versioning on, so that Firnline can tell who was first, or use a store with conditional writes";
    findings.push(finding(about, IGNORED, hint, []));
  }
  if (known.checksums === "none") {
    const problem = "it compares no checksum with the bytes that arrive";
    advice.push(adviceOf(about.key, problem, "Damage on the way is seen only when the object is read back"));
  }
  return { findings, advice };
}

function metadataFinding(
  about: Where,
  { creation }: NewObject,
  head: HeadObjectCommandOutput,
): FirnlineError | null {
  if (creationOf(head) === creation) return null;
  const problem =
    "it does not give back an object's metadata: after a lost reply nobody can tell whose object it is";
  return finding(about, problem, "Is there a proxy in between that removes x-amz-meta-* headers?", []);
}

/** Some stores take the header, and write the bytes as they are: Ceph 16 does so with SSE-S3. */
function encryptionFinding(
  about: Where,
  bucket: Bucket,
  { ServerSideEncryption: found }: HeadObjectCommandOutput,
): FirnlineError | null {
  const { ServerSideEncryption: wanted } = encryptionOf(bucket);
  if (wanted === undefined || found === wanted) return null;
  const shown = found === undefined ? "no encryption" : `encryption ${found}`;
  const problem = `it takes an object that is to be encrypted (${wanted}) and shows ${shown} of it`;
  const hint = "Use a mode that the store has, or leave archive.encryption out and encrypt its disks";
  return finding(about, problem, hint, []);
}

/** What the bucket's rule moves is told by a tag, and so is what has been uploaded to a vault. */
function needsTags({ cold }: Pick<Policy, "cold">): boolean {
  return cold !== null && (cold.vault !== null || cold.transition === "lifecycle");
}

async function tagsFinding(
  about: Where,
  bucket: Bucket,
  { where }: NewObject,
  head: HeadObjectCommandOutput,
): Promise<FirnlineError | null> {
  try {
    await bucket.call(where, "s3:PutObjectTagging", async (s3, how) => {
      const Tagging = { TagSet: [TAG] };
      await s3.send(new PutObjectTaggingCommand({ ...bucket.object(where), Tagging }), how);
    });
    if ((await tagsOf(bucket, where, head))[TAG.Key] === TAG.Value) return null;
  } catch (error) {
    if (!isUnable(error)) throw error;
  }
  const problem = "its objects have no tags, and tiers.cold tells by one what is to be moved, or was";
  const hint = "Leave tiers.cold out, so that objects stay warm, or use a store with tags";
  return finding(about, problem, hint, []);
}

function needsCopies({ cold }: Pick<Policy, "cold">): boolean {
  return cold !== null && cold.vault === null && cold.transition === "copy";
}

/** A store may copy some objects and not others: Ceph 16 none that is encrypted. */
async function copiesFinding(
  about: Where,
  bucket: Bucket,
  { where }: NewObject,
  storageClass: string,
): Promise<FirnlineError | null> {
  try {
    await moveObject(bucket, where, { key: where.key, versionId: null }, storageClass, async () => {});
    return null;
  } catch (error) {
    if (!isUnable(error)) throw error;
    const { encryption } = bucket.options;
    const what = encryption === null ? "an object" : `an object that is encrypted (${encryption.mode})`;
    const problem = `it does not copy ${what} into another class, and tiers.cold.transition: copy needs that`;
    const hint = "Use tiers.cold.transition: lifecycle, or leave tiers.cold out, so that objects stay warm";
    return finding(about, problem, hint, []);
  }
}

/** Some stores know no more than a plain PUT. */
function unableToCreate(about: Where, { options }: Bucket, error: unknown): FirnlineError {
  const refusal = refusalOf(error);
  const { encryption } = options;
  const what = encryption === null ? "" : `, encryption (${encryption.mode})`;
  const problem = `it does not take objects with a checksum, metadata${what} and If-None-Match (${refusal?.status} ${refusal?.name})`;
  const hint = "Use a store that does: without them nobody can tell what was damaged or taken on the way";
  const without = "Leave archive.encryption out if the store encrypts by itself, or use one that takes it";
  return finding(about, problem, encryption === null ? hint : without, []);
}
