/**
 * `npm run test:model -- [--seeds 300] [--from 0] [--jobs 2] [--story FILE]`: histories by number, as many as there is
 * time for, on a Postgres of its own. `--story` plays one as it was printed: its beginning and its steps, a line each.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { Lane } from "./lane.ts";
import { checkSeed, playStory, type Seen } from "./seeds.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "300" },
    from: { type: "string", default: "0" },
    jobs: { type: "string", default: "2" },
    story: { type: "string" },
  },
});

function wholeNumber(name: "seeds" | "from" | "jobs", min: number): number {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= min) return number;
  throw new Error(`--${name} ${values[name]} is not a whole number from ${min} on`);
}

const seen = new Map<string, number>();
const counts = { passed: 0, failed: 0 };

function count(one: Seen): void {
  for (const [what, times] of one) seen.set(what, (seen.get(what) ?? 0) + times);
}

function showProgress(total: number): void {
  if (!process.stdout.isTTY) return;
  const failed = counts.failed === 0 ? "" : `, ${counts.failed} failed`;
  process.stdout.write(`\r\u001B[K${counts.passed + counts.failed} of ${total} histories${failed}`);
}

function clearProgress(): void {
  if (process.stdout.isTTY) process.stdout.write("\r\u001B[K");
}

async function attempt(work: () => Promise<Seen>, total: number): Promise<void> {
  try {
    count(await work());
    counts.passed += 1;
  } catch (error) {
    counts.failed += 1;
    clearProgress();
    console.log(`${(error as Error).message}\n`);
  }
  showProgress(total);
}

async function playSeeds(server: EmbeddedPostgres): Promise<void> {
  const total = wholeNumber("seeds", 1);
  const first = wholeNumber("from", 0);
  let next = first;
  const job = async (_: unknown, number: number): Promise<void> => {
    await using lane = await newLane(server, number);
    while (next < first + total) {
      const seed = next;
      next += 1;
      await attempt(async () => await checkSeed(lane, seed), total);
    }
  };
  await Promise.all(Array.from({ length: wholeNumber("jobs", 1) }, job));
}

async function playFile(server: EmbeddedPostgres, path: string): Promise<void> {
  await using lane = await newLane(server, 0);
  const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line.trim() !== "");
  const [beginning, ...steps] = lines.map((line) => JSON.parse(line) as never);
  if (beginning === undefined) throw new Error(`${path} is empty`);
  await attempt(async () => await playStory(lane, { beginning, steps }), 1);
}

async function newLane(server: EmbeddedPostgres, number: number): Promise<Lane> {
  const client = new pg.Client(server.url());
  await client.connect();
  await client.query(`CREATE DATABASE lane_${number}`);
  await client.end();
  return await Lane.open(server.url(`lane_${number}`));
}

const stop = new AbortController();
process.once("SIGINT", () => process.exit(130));
{
  await using server = await startEmbeddedPostgres({ durable: true, signal: stop.signal });
  await (values.story === undefined ? playSeeds(server) : playFile(server, values.story));
}
clearProgress();
for (const [what, times] of [...seen].sort()) console.log(`${String(times).padStart(8)}  ${what}`);
if (counts.failed > 0) process.exitCode = 1;
console.log(`\n${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
