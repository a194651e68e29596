/**
 * What lies over pinned versions. A delete marker removes nothing: the version under it is read by its pin as before. But
 * whoever looks into the folder sees no object there any more, and a rule of the bucket that removes old versions would
 * take it (hazard 14). Nothing of ours makes one, so a person is told, and `collect` leaves it alone.
 */
import { checkpoint, type Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import { manifestFolder, objectFolder } from "../segment/archive-keys.ts";
import type { History } from "../segment/history.ts";

export async function markerFindings<Tx>(
  { archive, policy }: Environment<Tx>,
  { segments }: History,
  signal: AbortSignal,
): Promise<FirnlineError[]> {
  if (!(await archive.traits()).versions) return [];
  const live = [...segments.values()].filter((one) => !one.isCollected && !one.isExpiring);
  const pinned = new Set(live.flatMap(({ object, manifest }) => [object.key, manifest.key]));
  const findings: FirnlineError[] = [];
  for (const folder of [manifestFolder(policy.pipeline), objectFolder(policy.pipeline)]) {
    for await (const { key, isCurrent, isDeleteMarker } of archive.listVersions(folder)) {
      checkpoint(signal);
      if (isCurrent && isDeleteMarker && pinned.has(key)) findings.push(hidden(key));
    }
  }
  return findings;
}

function hidden(key: string): FirnlineError {
  return new FirnlineError({
    code: "E_VERIFY",
    subject: key,
    problem: "a delete marker lies over it, so it looks deleted; its pinned version is judged by itself",
    hint: "Find out who deleted it, remove the marker, and let no rule of the bucket expire old versions",
    key,
  });
}
