/**
 * Tries out what a create relies on: that a key which is taken is refused, that checksums are taken, that metadata comes
 * back. Leaves nothing behind.
 */
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import type { FirnlineError } from "../../errors.ts";
import type { Advice } from "../../plan/advice.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { areConditionsHonoured } from "./conditions.ts";
import { adviceOf, finding } from "./examination.ts";
import { isUnable } from "./failure.ts";
import { creationOf } from "./new-object.ts";
import { refusalOf } from "../sdk-refusal.ts";
import type { Traits } from "./traits.ts";

const IGNORED = "it ignores If-None-Match: two writers of one key would both believe that they won";

export async function tryOut(
  bucket: Bucket,
  traits: Traits,
  about: Where,
): Promise<{ readonly findings: readonly FirnlineError[]; readonly advice: readonly Advice[] }> {
  const known = await traits.forProbe();
  const findings: FirnlineError[] = [];
  const advice: Advice[] = [];
  const probed = areConditionsHonoured(bucket, about.op, known, async (probe) => {
    const head = await bucket.call(probe.where, "s3:GetObject", async (s3, how) => {
      return await s3.send(new HeadObjectCommand(bucket.object(probe.where)), how);
    });
    if (creationOf(head) === probe.creation) return;
    const problem =
      "it does not give back an object's metadata: after a lost reply nobody can tell whose object it is";
    findings.push(
      finding(about, problem, "Is there a proxy in between that removes x-amz-meta-* headers?", []),
    );
  });
  const isHonoured = await probed.catch((error: unknown) => {
    throw isUnable(error) ? unableToCreate(about, error) : error;
  });
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

/** Some stores know no more than a plain PUT. */
function unableToCreate(about: Where, error: unknown): FirnlineError {
  const refusal = refusalOf(error);
  const problem = `it does not take objects with a checksum, metadata and If-None-Match (${refusal?.status} ${refusal?.name})`;
  return finding(
    about,
    problem,
    "Use a store that does: without them nobody can tell what was damaged or taken on the way",
    [],
  );
}
