/** What one Postgres backend and one zstd thread can do. */
import { join } from "node:path";
import { type Bench, type Case, type Sample } from "../bench.ts";
import { requireProgram } from "../programs.ts";

async function measure(bench: Bench, isCompressed: boolean): Promise<Sample> {
  await requireProgram("psql");
  if (isCompressed) await requireProgram("zstd");
  await using copy = await bench.server.copy("days", bench.rows);
  await bench.server.settle(copy.url);
  const out = isCompressed ? join(bench.newFolder(), "rows.zst") : null;
  return await bench.child("floor", { url: copy.url, rows: bench.rows, out });
}

export const FLOOR: readonly Case[] = [
  { name: "floor.copy", isThroughput: true, measure: async (bench) => await measure(bench, false) },
  { name: "floor.copy-zstd", isThroughput: true, measure: async (bench) => await measure(bench, true) },
];
