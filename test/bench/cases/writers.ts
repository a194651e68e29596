/** What the application's writers notice of a move: pgbench at a steady rate, an INSERT and an UPDATE of today's rows each. */
import { readSettings } from "../../../src/config.ts";
import { addDays, dayStart } from "../../../src/rows/day.ts";
import { migrateDatabase } from "../../../src/wiring.ts";
import type { Bench, Case, Sample } from "../bench.ts";
import type { WritersJob } from "../children/writers.child.ts";
import { FIRST_DAY, LAYOUTS } from "../data.ts";
import { requireProgram } from "../programs.ts";
import { withClient } from "../server.ts";
import { firnlineJob } from "./firnline.ts";

/** Rows that the writers update, at ids above those that are moved. */
const HOT_ROWS = 10_000;
const ALONE_SECONDS = 15;
/** More than any move takes. */
const MOVE_SECONDS_MAX = 3_600;

/** Who moves rows meanwhile: nobody, a run at its own pace, or one that has been told to hurry. */
type Mover = "none" | "run" | "hurried run";

async function measure(bench: Bench, mover: Mover): Promise<Sample> {
  await requireProgram("pgbench");
  await using copy = await bench.server.copy("days", bench.rows);
  await migrateDatabase(copy.url, readSettings({}));
  const hot = addDays(FIRST_DAY, LAYOUTS.days.days + 29);
  const noon = Number(dayStart(hot) / 1_000_000n) + 43_200;
  await withClient(copy.url, async (client) => {
    await client.query(
      `CREATE SEQUENCE public.writers START 2000000000;
       INSERT INTO public.audit (id, ts)
         SELECT 1000000000 + n, to_timestamp(${noon} - n)
         FROM generate_series(1, ${HOT_ROWS}) n`,
    );
  });
  const folder = bench.newFolder();
  await bench.server.settle(copy.url);
  const run = firnlineJob(copy.url, "days", { folder, prune: "rows" }, { name: "run" });
  const job: WritersJob = {
    url: copy.url,
    folder,
    seconds: mover === "none" ? ALONE_SECONDS : MOVE_SECONDS_MAX,
    noon,
    move: mover === "none" ? null : { ...run, isInBackground: true },
    environ: mover === "hurried run" ? { FIRNLINE_PACE_PERCENT: "100" } : {},
  };
  return await bench.child("writers", job);
}

export const WRITERS: readonly Case[] = [
  { name: "writers.alone", isThroughput: false, measure: async (bench) => await measure(bench, "none") },
  { name: "writers.move", isThroughput: false, measure: async (bench) => await measure(bench, "run") },
  {
    name: "writers.move-hurried",
    isThroughput: false,
    measure: async (bench) => await measure(bench, "hurried run"),
  },
];
