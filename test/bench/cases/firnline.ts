/** Firnline: its export alone, the whole move from hot to warm, and the prune alone. */
import { pathToFileURL } from "node:url";
import { readSettings } from "../../../src/config.ts";
import { migrateDatabase } from "../../../src/wiring.ts";
import type { Bench, Case, Sample } from "../bench.ts";
import type { FirnlineJob } from "../children/firnline.child.ts";
import { dueAt, LAYOUTS, type LayoutName } from "../data.ts";

type Prune = "rows" | "partitions" | "off";

export interface PolicyTerms {
  readonly folder: string;
  readonly prune: Prune;
  readonly bloomFilters?: readonly string[];
}

export function policyText({ folder, prune, bloomFilters = [] }: PolicyTerms): string {
  return `version: 1
pipeline: audit
source: { connection: DATABASE_URL, table: public.audit, time: ts }
archive: { url: "${pathToFileURL(folder).href}", bloomFilters: [${bloomFilters.join(", ")}] }
tiers: { hot: { keep: 30d }, warm: { keep: 3650d } }
prune: ${prune}
`;
}

export function firnlineJob(
  url: string,
  layout: LayoutName,
  terms: PolicyTerms,
  task: FirnlineJob["task"],
): FirnlineJob {
  return {
    url,
    policy: policyText(terms),
    folder: terms.folder,
    asOf: dueAt(LAYOUTS[layout]).toString(),
    task,
  };
}

async function measure(
  bench: Bench,
  layout: LayoutName,
  prune: Prune,
  name: "export" | "run",
): Promise<Sample> {
  await using copy = await bench.server.copy(layout, bench.rows);
  await migrateDatabase(copy.url, readSettings({}));
  const folder = bench.newFolder();
  await bench.server.settle(copy.url);
  return checked(
    bench,
    await bench.child("firnline", firnlineJob(copy.url, layout, { folder, prune }, { name })),
  );
}

/** The deletes of a move, where another run has archived the rows before. */
async function measurePrune(bench: Bench): Promise<Sample> {
  await using copy = await bench.server.copy("days", bench.rows);
  await migrateDatabase(copy.url, readSettings({}));
  const folder = bench.newFolder();
  const run = (prune: Prune): FirnlineJob =>
    firnlineJob(copy.url, "days", { folder, prune }, { name: "run" });
  checked(bench, await bench.child("firnline", run("off")));
  await bench.server.settle(copy.url);
  return checked(bench, await bench.child("firnline", run("rows")));
}

/** A case that left rows behind measured something else. */
function checked(bench: Bench, sample: Sample): Sample {
  if (sample.rows !== bench.rows) throw new Error(`it moved ${sample.rows} rows of ${bench.rows}`);
  return sample;
}

const of = (name: string, run: Case["measure"]): Case => ({ name, isThroughput: true, measure: run });

export const FIRNLINE: readonly Case[] = [
  of("firnline.export", async (bench) => await measure(bench, "days", "off", "export")),
  of("firnline.move", async (bench) => await measure(bench, "days", "rows", "run")),
  of("firnline.move-day", async (bench) => await measure(bench, "day", "rows", "run")),
  of("firnline.move-partition", async (bench) => await measure(bench, "partitions", "partitions", "run")),
  of("firnline.prune", measurePrune),
];
