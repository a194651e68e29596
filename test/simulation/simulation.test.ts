/** Simulated histories as tests: each seed is a story of its own, and the same one on every machine. */
import { expect, test } from "vitest";
import { misplaced, MUTANTS } from "./mutant-list.ts";
import { checkSeed } from "./seeds.ts";

const SEEDS_A_TEST = 50;
const SEEDS = 500;
/** Fewer than `npm run test:sim` takes: every test run pays for them. */
const STEPS_MAX = 5;
/** A busy machine is no failure. */
const TIMEOUT_MS = 900_000;

/** What must have come about, or the histories show less than they seem to. */
const TO_BE_SEEN = [
  ...["crash", "damage", "fail", "freeze", "late", "lose"].map((what) => `run met: ${what}`),
  ...["Crash", "E_LOCKED", "E_STALE", "done"].map((what) => `run: ${what}`),
  ...["sealed", "pruned", "deleted", "packed", "transitioned", "retrieved"].map((what) => `journal: ${what}`),
  "retrieve: done",
  "collect: done",
  "rebuild: done",
  "lose the catalog",
  "restore",
  "terms",
];
const seen = new Set<string>();
let played = 0;

for (let first = 0; first < SEEDS; first += SEEDS_A_TEST) {
  const last = first + SEEDS_A_TEST - 1;
  test(`simulated histories ${first} to ${last} keep I1-I9 and I12`, { timeout: TIMEOUT_MS }, async () => {
    for (let seed = first; seed <= last; seed += 1) {
      for (const what of (await checkSeed(seed, { stepsMax: STEPS_MAX })).keys()) seen.add(what);
      played += 1;
    }
  });
}

test("they met everything that they are there for", (context) => {
  if (played < SEEDS) context.skip("not all of them were played");
  expect(TO_BE_SEEN.filter((what) => !seen.has(what))).toEqual([]);
});

test("each deliberate bug can be put into the sources", () => {
  expect(MUTANTS.flatMap(misplaced)).toEqual([]);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});
