/**
 * `npm run test:mutants -- [--seeds 200] [--steps 8] [--name NAME ...] [--jobs 2]`: each deliberate bug of
 * `mutant-list.ts` is put into the sources in memory, and the simulation has to find it. Prints which check did, and at which seed.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { misplaced, type Mutant, MUTANTS } from "./mutant-list.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    name: { type: "string", multiple: true },
    steps: { type: "string", default: "8" },
    jobs: { type: "string", default: "2" },
  },
});

interface Verdict {
  readonly mutant: Mutant;
  readonly isCaught: boolean;
  readonly text: string;
}

async function play(mutant: Mutant): Promise<Verdict> {
  const [problem] = misplaced(mutant);
  if (problem !== undefined) return { mutant, isCaught: false, text: problem };
  const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const args = [
    "--import",
    file("mutate.ts"),
    file("main.ts"),
    "--first",
    "--seeds",
    values.seeds,
    "--steps",
    values.steps,
  ];
  const { promise, resolve } = Promise.withResolvers<Verdict>();
  execFile(
    process.execPath,
    args,
    { env: { ...process.env, FIRNLINE_MUTANT: mutant.name }, maxBuffer: 1 << 26 },
    (error, stdout, stderr) => {
      const line = stdout.split("\n").find((one) => one.startsWith("{"));
      if (line !== undefined) {
        const { passed, check } = JSON.parse(line) as { passed: number; check: string };
        resolve({ mutant, isCaught: true, text: `seed ${passed}: ${check}` });
      } else {
        const text = error === null ? `not caught in ${values.seeds} seeds` : stderr.trim().slice(-300);
        resolve({ mutant, isCaught: false, text });
      }
    },
  );
  return await promise;
}

const wanted = MUTANTS.filter(({ name }) => values.name === undefined || values.name.includes(name));
const verdicts: Verdict[] = [];
let next = 0;
const job = async (): Promise<void> => {
  for (let mutant = wanted[next]; mutant !== undefined; mutant = wanted[next]) {
    next += 1;
    const verdict = await play(mutant);
    verdicts.push(verdict);
    console.log(`${verdict.isCaught ? "caught" : "MISSED"}  ${mutant.name.padEnd(34)} ${verdict.text}`);
  }
};
await Promise.all(Array.from({ length: Math.max(1, Number(values.jobs)) }, job));
const missed = verdicts.filter(({ isCaught }) => !isCaught);
if (missed.length > 0) process.exitCode = 1;
console.log(`\n${verdicts.length - missed.length} passed, ${missed.length} failed, 0 skipped`);
