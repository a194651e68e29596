/** Which rows are in the archive alone, by the journal and what is decided besides. */
import { strict as assert } from "node:assert";
import type { Event, Objects } from "./objects.ts";

interface ChunksOf {
  readonly segment: string;
  readonly chunks: readonly number[];
}

export interface Reading {
  readonly pruned: readonly string[];
  /** Of segments whose pruning began: after the loss of a catalog nobody has written which of them went. */
  readonly unsure: ReadonlySet<string>;
  /** Rows that delete-only rules took. */
  readonly deleted: number;
}

export function prunedByJournal(
  objects: Objects,
  outbox: readonly { readonly entryId: string; readonly event: Event }[],
  /** Whether rows may have come back to the table: then a chunk may be pruned once more. */
  isBlurred: boolean,
): Reading {
  const known = new Set(objects.journal.map(({ entryId }) => entryId));
  const pending = outbox.filter(({ entryId }) => !known.has(entryId));
  const events = [...objects.journal, ...pending].map(({ event }) => event);
  const pruned = new Map<string, Set<number>>();
  const started = new Set<string>();
  const of = (segment: string): Set<number> => {
    const chunks = pruned.get(segment) ?? new Set();
    pruned.set(segment, chunks);
    return chunks;
  };
  const giveUp = ({ segment, chunks }: ChunksOf, wasPruned: boolean): void => {
    for (const chunk of chunks) {
      const found = of(segment).delete(chunk);
      assert(
        found === wasPruned,
        `I2: chunk ${chunk} of ${segment} was ${wasPruned ? "packed, and not" : "superseded, and"} pruned`,
      );
    }
  };
  let deleted = 0;
  for (const event of events) {
    const { segment, chunks } = event as unknown as ChunksOf;
    switch (event.type) {
      case "prune-started":
        started.add(segment);
        break;
      case "pruned":
        for (const chunk of chunks) {
          assert(isBlurred || !of(segment).has(chunk), `I2: chunk ${chunk} of ${segment} was pruned twice`);
          of(segment).add(chunk);
        }
        break;
      case "reconciled":
        for (const chunk of event["pruned"] as number[]) of(segment).add(chunk);
        for (const chunk of event["sealed"] as number[]) of(segment).delete(chunk);
        break;
      case "superseded":
        giveUp({ segment, chunks }, false);
        break;
      case "sealed":
        for (const one of event["supersedes"] as ChunksOf[]) giveUp(one, false);
        break;
      case "packed":
        for (const one of event["from"] as ChunksOf[]) giveUp(one, true);
        for (const chunk of objects.chunks(segment).keys()) of(segment).add(chunk);
        break;
      case "deleted":
        deleted += Number(event["rows"]);
    }
  }
  const lines = [...pruned].flatMap(([segment, chunks]) => {
    if (chunks.size === 0) return [];
    const all = objects.chunks(segment);
    return [...chunks].flatMap((chunk) => all[chunk] ?? []);
  });
  const unsure = new Set([...started].flatMap((segment) => objects.chunks(segment).flat()));
  return { pruned: lines, unsure, deleted };
}
