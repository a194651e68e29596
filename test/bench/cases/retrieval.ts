/** Reading back what was archived: a large day, and one actor's few rows in most of a year. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { readSettings } from "../../../src/config.ts";
import { addDays, formatDay } from "../../../src/rows/day.ts";
import { migrateDatabase } from "../../../src/wiring.ts";
import type { Bench, Case, Sample } from "../bench.ts";
import type { DuckdbJob } from "../children/duckdb.child.ts";
import { FIRST_DAY, LAYOUTS } from "../data.ts";
import { withClient } from "../server.ts";
import { firnlineJob, type PolicyTerms } from "./firnline.ts";

/** The rows that are looked for, as near as there is an actor: few enough to be a needle, enough to be on several days. */
const NEEDLE_ROWS = 8;

interface Archived {
  readonly url: string;
  readonly terms: PolicyTerms;
  /** The actor with about so many rows. */
  readonly needle: { readonly actor: string; readonly rows: number };
}

/** 20,000 rows a day at the default: of much smaller days manifests and indexes are a larger share than what is looked for. */
const HISTORY_TIMES_ROWS = 6;

const rowsOf = (bench: Bench, layout: "day" | "history"): number =>
  layout === "day" ? bench.rows : bench.rows * HISTORY_TIMES_ROWS;

/** A table that was moved as a whole; once for all rounds. */
async function archived(bench: Bench, layout: "day" | "history"): Promise<Archived> {
  return await bench.once(`archived ${layout}`, async () => {
    const { url } = await bench.server.copy(layout, rowsOf(bench, layout));
    await migrateDatabase(url, readSettings({}));
    const needle = await withClient(url, async (client) => {
      const { rows } = await client.query<{ actor: string; rows: number }>(
        `SELECT actor, count(*)::int AS rows FROM public.audit GROUP BY actor
         ORDER BY abs(count(*) - ${NEEDLE_ROWS}), actor LIMIT 1`,
      );
      return rows[0] as Archived["needle"];
    });
    const folder = join(bench.folder, `archive-${layout}`);
    mkdirSync(folder);
    const terms: PolicyTerms = { folder, prune: "rows", bloomFilters: ["actor"] };
    const moved = await bench.child("firnline", firnlineJob(url, layout, terms, { name: "run" }));
    const expected = rowsOf(bench, layout);
    if (moved.rows !== expected) throw new Error(`${moved.rows} rows of ${expected} were archived`);
    // As autovacuum would, which is off here: whoever reads first after a move would do its work, at every deleted row.
    await withClient(url, async (client) => void (await client.query("VACUUM public.audit")));
    return { url, terms, needle };
  });
}

async function measure(bench: Bench, what: "day" | "needle"): Promise<Sample> {
  const layout = what === "day" ? "day" : "history";
  const { url, terms, needle } = await archived(bench, layout);
  const to = addDays(FIRST_DAY, LAYOUTS[layout].days - 1);
  const sample = await bench.child(
    "firnline",
    firnlineJob(url, layout, terms, {
      name: "retrieve",
      from: formatDay(FIRST_DAY),
      to: formatDay(to),
      where: what === "day" ? [] : [`actor=${needle.actor}`],
      out: join(bench.newFolder(), "rows.ndjson"),
    }),
  );
  const rows = what === "day" ? bench.rows : needle.rows;
  return { ...checked(sample, rows), rowsSearched: rowsOf(bench, layout) };
}

async function measureDuckdb(bench: Bench, what: "day" | "needle"): Promise<Sample> {
  const { terms, needle } = await archived(bench, what === "day" ? "day" : "history");
  const files = `read_parquet('${join(terms.folder, "**", "*.parquet")}', hive_partitioning = false)`;
  const where = what === "day" ? "" : ` WHERE actor = '${needle.actor}'::uuid`;
  const job: DuckdbJob = {
    task: "query",
    sql: `SELECT * FROM ${files}${where} ORDER BY ts, id`,
    out: join(bench.newFolder(), "rows.ndjson"),
  };
  return checked(await bench.child("duckdb", job), what === "day" ? bench.rows : needle.rows);
}

function checked(sample: Sample, rows: number): Sample {
  if (sample.rows !== rows) throw new Error(`it gave ${sample.rows} rows of ${rows}`);
  return sample;
}

export const RETRIEVAL: readonly Case[] = [
  { name: "retrieve.day", isThroughput: true, measure: async (bench) => await measure(bench, "day") },
  {
    name: "peer.duckdb-day",
    isThroughput: true,
    measure: async (bench) => await measureDuckdb(bench, "day"),
  },
  { name: "retrieve.needle", isThroughput: false, measure: async (bench) => await measure(bench, "needle") },
  {
    name: "peer.duckdb-needle",
    isThroughput: false,
    measure: async (bench) => await measureDuckdb(bench, "needle"),
  },
];
