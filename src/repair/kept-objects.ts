/**
 * Garbage that something keeps: a hold has its days, or the store has a lock or a legal hold on it. The hold is asked for
 * once more in the transaction that decides the removal; the store would refuse what is locked, after the journal has said
 * that it is gone.
 */
import type { CatalogContents, GarbageObject } from "../catalog/upkeep.ts";
import { inParallel } from "../archived/read-manifests.ts";
import { checkpoint, type Environment } from "../environment.ts";
import { holdOver } from "../plan/holds.ts";
import { type DayUtc, parseDay } from "../rows/day.ts";
import { segmentOfKey } from "../segment/archive-keys.ts";

export async function keptObjects<Tx, T extends GarbageObject>(
  { archive, clock }: Environment<Tx>,
  { holds, segments }: CatalogContents,
  objects: readonly T[],
  signal: AbortSignal,
): Promise<ReadonlySet<T>> {
  const inForce = holds.filter(({ released }) => released === null);
  const isHeld = ({ key }: T): boolean => {
    const days = segments.get(segmentOfKey(key) ?? "")?.record ?? daysOfKey(key);
    return days !== null && holdOver(inForce, days.dayFrom, days.dayTo) !== null;
  };
  const kept = new Set(objects.filter(isHeld));
  if (!(await archive.traits()).locks) return kept;
  await inParallel(
    objects.filter((one) => !kept.has(one)),
    async (one) => {
      checkpoint(signal);
      const head = await archive.head({ key: one.key, versionId: one.versionId });
      const until = head?.retention?.until ?? 0;
      if (head?.isHeld === true || until > clock.now()) kept.add(one);
    },
  );
  return kept;
}

/** Of an object that no catalog knows; of a manifest the key does not tell. A month is thought to have 31 days. */
function daysOfKey(key: string): { readonly dayFrom: DayUtc; readonly dayTo: DayUtc } | null {
  const [, day] = /\/dt=(\d{4}-\d{2}-\d{2})\//.exec(key) ?? [];
  if (day !== undefined) return { dayFrom: parseDay(day), dayTo: parseDay(day) };
  const [, month] = /\/month=(\d{4}-\d{2})\//.exec(key) ?? [];
  if (month === undefined) return null;
  const first = parseDay(`${month}-01`);
  return { dayFrom: first, dayTo: (first + 30) as DayUtc };
}
