/** Histories by number: seed N is the same history on every machine, and a failure is told as the shortest one found. */
import * as fc from "fast-check";
import { History } from "./history.ts";
import type { Lane } from "./lane.ts";
import { shorten, type Story } from "./shorten.ts";
import { anyStep, beginning, type Step } from "./steps.ts";

const STEPS_MAX = 30;
/** A history takes about half a second. */
const SHORTEN_MS_MAX = 120_000;
/** So much of a message says how a history failed; the rest are its rows. */
const KIND_CHARACTERS = 30;

class Command implements fc.AsyncCommand<object, History> {
  readonly #step: Step;

  constructor(step: Step) {
    this.#step = step;
  }

  check(): boolean {
    return true;
  }

  async run(_model: object, history: History): Promise<void> {
    await history.take(this.#step);
  }

  toString(): string {
    return JSON.stringify(this.#step);
  }
}

const anyStory: fc.Arbitrary<Story> = fc.record({
  beginning,
  steps: fc.array(anyStep, { maxLength: STEPS_MAX, size: "max" }),
});

/** How often something came about. */
export type Seen = ReadonlyMap<string, number>;

/** Throws, with the shortest history found and how to see it again, unless all invariants hold. */
export async function checkSeed(lane: Lane, seed: number, shortenMsMax = SHORTEN_MS_MAX): Promise<Seen> {
  let seen: Seen = new Map();
  const property = fc.asyncProperty(anyStory, async (story) => {
    seen = await playStory(lane, story);
  });
  // Half of all first runs would be histories of a step or two if they were biased.
  const details = await fc.check(property, { seed, numRuns: 1, unbiased: true, endOnFailure: true });
  if (!details.failed) return seen;
  const [story] = details.counterexample as [Story];
  let failure = details.errorInstance as Error;
  const kind = failure.message.slice(0, KIND_CHARACTERS);
  const fails = async (shorter: Story): Promise<boolean> => {
    const error = await playStory(lane, shorter).catch((one: unknown) => one);
    if (!(error instanceof Error) || !error.message.startsWith(kind)) return false;
    failure = error;
    return true;
  };
  const shortest = await shorten(story, fails, shortenMsMax);
  const told = [shortest.beginning, ...shortest.steps].map((part) => `  ${JSON.stringify(part)}`);
  throw new Error(
    `seed ${seed} fails: ${failure.message}\n` +
      `the shortest history found, of ${story.steps.length} steps at first:\n${told.join("\n")}\n` +
      `again: npm run test:model -- --seeds 1 --from ${seed}`,
    { cause: failure },
  );
}

/** Throws unless all invariants hold. */
export async function playStory(lane: Lane, { beginning: start, steps }: Story): Promise<Seen> {
  const history = await History.begin(lane, start);
  await fc.asyncModelRun(
    () => ({ model: {}, real: history }),
    steps.map((step) => new Command(step)),
  );
  await history.settle();
  return history.seen;
}
