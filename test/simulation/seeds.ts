/** Stories by number: seed N is the same story on every machine, and a failure is told as the shortest one found. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { History, type Seen } from "./history.ts";
import { shrink } from "./shrink.ts";
import { type Story, storyOf } from "./steps.ts";

export const STEPS_MAX = 8;
const SHRINK_MS_MAX = 60_000;

/** A story that went wrong, as it is told. */
export class StoryFailed extends Error {
  /** What was wrong, in one line: the check's own words. */
  readonly check: string;

  constructor(seed: number, stepsMax: number, story: Story, error: Error) {
    const lines = [story, ...story.steps].map((one, at) =>
      JSON.stringify(at === 0 ? { ...story, steps: undefined } : one),
    );
    const replay = `npm run test:sim -- --seed ${seed} --steps ${stepsMax}`;
    super(
      `seed ${seed} (${replay}): ${error.stack ?? error.message}\n\nThe shortest story found:\n${lines.join("\n")}`,
    );
    this.check = checkOf(error);
  }
}

/** An assertion's first line, or a Firnline error's code and problem; numbers and names differ from story to story. */
export function checkOf(error: Error): string {
  const [line = ""] = error.message.split("\n");
  return line.replaceAll(/[0-9a-f]{8,}|\d+|"[^"]*"|\[.*/g, "*").slice(0, 90);
}

export async function playStory(story: Story): Promise<Seen> {
  const folder = await mkdtemp(join(tmpdir(), "firnline-simulation-"));
  try {
    const history = new History(story, folder);
    await history.play(story);
    return history.seen;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function failureOf(story: Story): Promise<Error | null> {
  try {
    await playStory(story);
    return null;
  } catch (error) {
    return error as Error;
  }
}

/** What came about; throws `StoryFailed`. */
export async function checkSeed(
  seed: number,
  options: { stepsMax?: number; shrinks?: boolean } = {},
): Promise<Seen> {
  const { stepsMax = STEPS_MAX } = options;
  const story = storyOf(seed, stepsMax);
  try {
    return await playStory(story);
  } catch (error) {
    const first = error as Error;
    if (options.shrinks === false) throw new StoryFailed(seed, stepsMax, story, first);
    const isSame = async (shorter: Story): Promise<boolean> => {
      const found = await failureOf(shorter);
      return found !== null && checkOf(found) === checkOf(first);
    };
    const shortest = await shrink(story, isSame, SHRINK_MS_MAX);
    throw new StoryFailed(seed, stepsMax, shortest, (await failureOf(shortest)) ?? first);
  }
}
