/** Restored copies of objects in cold classes. Source: S3 user guide, "Restoring an archived object". */
import { RestoreObjectCommand } from "@aws-sdk/client-s3";
import { FirnlineError } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import { checkRestore, type RestoreRequest, restoredUntil } from "../object-state.ts";
import type { Access, Locator } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { isUnable } from "./failure.ts";
import { refusalOf } from "../sdk-refusal.ts";
import { accessOf, classOf, headOf, named } from "./head-object.ts";

/** A restored copy that is there is never made shorter; one that is on its way is left alone. */
export async function restoreObject(
  bucket: Bucket,
  where: Where,
  object: Locator,
  request: RestoreRequest,
  now: EpochMs,
): Promise<Access> {
  const found = await headOf(bucket, where, object);
  const before = accessOf(found);
  checkRestore(where.key, before.state === "archived" ? classOf(found) : "", request);
  if (before.state === "restoring") return before;
  if (
    before.state === "readable" &&
    (before.until === null || restoredUntil(now, request.days) <= before.until)
  ) {
    return before;
  }
  // What INTELLIGENT_TIERING has put away comes back for good, and a request that says for how long is refused.
  const stay = found.ArchiveStatus === undefined ? { Days: request.days } : {};
  // The tier belongs to the making of a copy, not to its staying on.
  const tier = before.state === "archived" ? { GlacierJobParameters: { Tier: request.tier } } : {};
  const command = {
    ...named(bucket, where, object.versionId),
    RestoreRequest: { ...stay, ...tier },
  };
  try {
    await bucket.call(where, "s3:RestoreObject", async (s3, how) => {
      await s3.send(new RestoreObjectCommand(command), how);
    });
  } catch (error) {
    if (isUnable(error)) throw noRestores(where, error);
    if (refusalOf(error)?.name !== "RestoreAlreadyInProgress") throw error;
  }
  const after = accessOf(await headOf(bucket, where, object));
  // The answer to a HEAD may still be that of before.
  return after.state === "archived" ? { state: "restoring", readyAt: null } : after;
}

function noRestores({ op, key }: Where, cause: unknown): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: "this store has no restores",
    hint: "Read the object as it is, or use a store with the classes of S3 Glacier",
    op,
    key,
    cause,
  });
}
