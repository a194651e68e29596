/**
 * `npm run test:sim -- [--seeds 500] [--from 0] [--seed N] [--steps 10] [--story FILE]`: simulated histories by number, as
 * many as there is time for. `--story` plays one as it was printed, a line for its beginning and one for each step.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { checkSeed, playStory, STEPS_MAX, StoryFailed } from "./seeds.ts";
import type { Seen } from "./history.ts";
import type { Step, Story } from "./steps.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "500" },
    from: { type: "string", default: "0" },
    seed: { type: "string" },
    steps: { type: "string", default: String(STEPS_MAX) },
    story: { type: "string" },
    /** Ends with the first failure, told in one line and not shrunk: for `mutants.ts`. */
    first: { type: "boolean", default: false },
  },
});

function wholeNumber(name: "seeds" | "from" | "seed" | "steps", min: number): number {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= min) return number;
  throw new Error(`--${name} ${values[name]} is not a whole number from ${min} on`);
}

const seen = new Map<string, number>();
const counts = { passed: 0, failed: 0 };
const isTold = process.stdout.isTTY && !values.first;

function clearProgress(): void {
  if (isTold) process.stdout.write("\r\u001B[K");
}

async function attempt(work: () => Promise<Seen>, total: number): Promise<void> {
  try {
    for (const [what, times] of await work()) seen.set(what, (seen.get(what) ?? 0) + times);
    counts.passed += 1;
  } catch (error) {
    counts.failed += 1;
    clearProgress();
    if (!values.first) console.log(`${(error as Error).message}\n`);
    else if (error instanceof StoryFailed)
      console.log(JSON.stringify({ passed: counts.passed, check: error.check }));
    else throw error;
  }
  if (!isTold) return;
  clearProgress();
  const failed = counts.failed === 0 ? "" : `, ${counts.failed} failed`;
  process.stdout.write(`${counts.passed + counts.failed} of ${total} histories${failed}`);
}

async function readStory(path: string): Promise<Story> {
  const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line.trim() !== "");
  const [beginning, ...steps] = lines.map((line) => JSON.parse(line) as unknown);
  return { ...(beginning as Story), steps: steps as Step[] };
}

process.once("SIGINT", () => process.exit(130));
if (values.story !== undefined) {
  const story = await readStory(values.story);
  await attempt(async () => await playStory(story), 1);
} else {
  const total = values.seed === undefined ? wholeNumber("seeds", 1) : 1;
  const from = wholeNumber(values.seed === undefined ? "from" : "seed", 0);
  const options = { stepsMax: wholeNumber("steps", 3), shrinks: !values.first };
  for (let seed = from; seed < from + total; seed += 1) {
    await attempt(async () => await checkSeed(seed, options), total);
    if (values.first && counts.failed > 0) break;
  }
}
clearProgress();
if (!values.first) {
  for (const [what, times] of [...seen].sort()) console.log(`${String(times).padStart(8)}  ${what}`);
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
}
if (counts.failed > 0) process.exitCode = 1;
