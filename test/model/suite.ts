/** Histories as tests: fifty in each file, so that the workers of a test run share them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { Lane } from "./lane.ts";
import { checkSeed } from "./seeds.ts";

export const SEEDS_A_TEST = 50;
/** A busy machine is no failure. */
const TIMEOUT_MS = 900_000;

/** What must have come about in any fifty histories, or they show less than they seem to. */
const TO_BE_SEEN = [
  "sealed",
  "pruned",
  "deleted",
  "exported anew",
  "tombstoned",
  "packed",
  "transitioned",
  "retrieved",
  "answered",
  "stage: drop",
  "met: crash",
  "met: failure",
  "met: write",
];

/** Histories `from` up to `from + tests * SEEDS_A_TEST`. */
export function testHistories(from: number, tests: number): void {
  let database: TestDatabase;
  let lane: Lane;

  beforeAll(async () => {
    database = await createDatabase();
    lane = await Lane.open(database.url);
  });

  afterAll(async () => {
    await lane[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  for (let first = from; first < from + tests * SEEDS_A_TEST; first += SEEDS_A_TEST) {
    const last = first + SEEDS_A_TEST - 1;
    test(
      `histories ${first} to ${last} keep what Firnline promises (I1-I8)`,
      { timeout: TIMEOUT_MS },
      async () => {
        const seen = new Set<string>();
        for (let seed = first; seed <= last; seed += 1) {
          for (const what of (await checkSeed(lane, seed)).keys()) seen.add(what);
        }
        expect(TO_BE_SEEN.filter((what) => !seen.has(what))).toEqual([]);
      },
    );
  }
}
