/** What journal and catalog refer to: it is there, and it was verified before anything was deleted on its word. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { readJournal } from "../../support/oracle.ts";
import type { Scenario } from "../../support/scenario.ts";

/** States whose object is there; from `sealed` on the manifest is too. */
const WITH_OBJECT = ["uploaded", "sealed", "pruning", "warm", "cooling", "cold"];

/** Of the catalog; the journal's the oracle itself follows. The bucket of the scenario must have been mirrored. */
export async function expectNoDanglingReference(scenario: Scenario): Promise<void> {
  const rows = await scenario.query(
    `SELECT segment, state, rule, day_from::text AS first, day_to::text AS last FROM firnline.segment
     WHERE state = ANY ($1)`,
    [WITH_OBJECT],
  );
  const missing: string[] = [];
  for (const { segment, state, rule, first = "", last } of rows) {
    const folder =
      first === last ? `daily/rule=${rule}/dt=${first}` : `monthly/rule=${rule}/month=${first.slice(0, -3)}`;
    const keys = [`audit_logs/${folder}/${segment}.parquet`];
    if (state !== "uploaded") keys.push(`_firnline/audit_logs/manifests/${segment}.json`);
    for (const key of keys) {
      const isThere = await access(join(scenario.archive, key)).then(
        () => true,
        () => false,
      );
      if (!isThere) missing.push(`${state} ${key}`);
    }
  }
  expect(missing, "objects that the catalog refers to").toEqual([]);
}

/** I1, as the order of the journal's entries has it: what is pruned, or moved, was sealed or packed before. */
export async function expectVerifiedFirst(scenario: Scenario): Promise<void> {
  const verified = new Set<unknown>();
  const unverified: string[] = [];
  for (const { n, event } of await readJournal(scenario)) {
    const { segment, type } = event;
    if (type === "sealed" || type === "packed") verified.add(segment);
    else if (segment !== undefined && !verified.has(segment))
      unverified.push(`entry ${n}: ${type} ${String(segment)}`);
  }
  expect(unverified, "entries about segments that were not verified before").toEqual([]);
}
