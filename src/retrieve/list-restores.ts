/** The restored copies that were asked for, as they are now: what is under way is looked at in the store. */
import { objectLocator } from "../archive/locators.ts";
import { inParallel } from "../archived/read-manifests.ts";
import type { RestoreRecord } from "../catalog/restores.ts";
import { checkpoint, type Environment } from "../environment.ts";
import { seenOf } from "./ask-for-copies.ts";

const HEADS = 16;

/** Newest first. With `all` those that have ended too, up to `countMax`. */
export async function listRestores<Tx>(
  { archive, catalog, policy, restores }: Environment<Tx>,
  options: { readonly all: boolean; readonly countMax: number; readonly signal: AbortSignal },
): Promise<RestoreRecord[]> {
  const { pipeline } = policy;
  const underWay = await restores.underWay(pipeline);
  const look = async (record: RestoreRecord): Promise<void> => {
    checkpoint(options.signal);
    const object = objectLocator(pipeline, await catalog.segment(pipeline, record.segment));
    const access = (await archive.head(object))?.access ?? { state: "archived" };
    const seen = seenOf(access);
    // Nobody has asked the store yet, or it was not told: the next retrieval does.
    if (record.state === "asked" && seen.state === "expired") return;
    if (seen.state !== record.state || seen.until !== record.until) await restores.saw(record, seen);
  };
  await inParallel(underWay.values(), look, HEADS);
  if (options.all) return await restores.list(pipeline, options.countMax);
  const now = await restores.underWay(pipeline);
  return [...now.values()].sort((left, right) => (left.id > right.id ? -1 : 1));
}
