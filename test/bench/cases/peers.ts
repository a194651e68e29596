/** What else moves rows out of Postgres. None of them verifies anything before it deletes, where it deletes at all. */
import type { Bench, Case, Sample } from "../bench.ts";
import { columnTypes } from "../data.ts";
import { requireProgram } from "../programs.ts";
import { policyText } from "./firnline.ts";

/** A fresh copy, ready to be measured. */
async function measure(
  bench: Bench,
  child: string,
  job: (where: { url: string; folder: string }) => object,
): Promise<Sample> {
  await using copy = await bench.server.copy("days", bench.rows);
  await bench.server.settle(copy.url);
  return await bench.child(child, job({ url: copy.url, folder: bench.newFolder() }));
}

/** The slow ones get fewer rows: nobody waits minutes to learn that they are slow. */
const fraction = (bench: Bench, share: number): number => Math.round(bench.rows * share);

const DUCKDB: Readonly<Record<string, string>> = {
  bigint: "BIGINT",
  integer: "INTEGER",
  "double precision": "DOUBLE",
  "numeric(12,2)": "DECIMAL(12,2)",
  boolean: "BOOLEAN",
  timestamptz: "TIMESTAMPTZ",
  uuid: "UUID",
};

const PARQUETJS: Readonly<Record<string, string>> = {
  bigint: "INT64",
  integer: "INT32",
  "double precision": "DOUBLE",
  boolean: "BOOLEAN",
  timestamptz: "TIMESTAMP_MILLIS",
};

function columns(
  bench: Bench,
  names: Readonly<Record<string, string>>,
  other: string,
): Record<string, string> {
  return Object.fromEntries(columnTypes(bench.shape).map(({ name, type }) => [name, names[type] ?? other]));
}

const parquetjs = (name: string, library: "dsnp" | "lite"): Case => ({
  name,
  isThroughput: true,
  measure: async (bench) =>
    await measure(bench, "parquetjs", (where) => ({
      ...where,
      library,
      rows: fraction(bench, 0.3),
      columns: columns(bench, PARQUETJS, "UTF8"),
    })),
});

export const PEERS: readonly Case[] = [
  {
    name: "plain.delete",
    isThroughput: true,
    measure: async (bench) => await measure(bench, "plain-delete", (where) => where),
  },
  {
    name: "peer.duckdb",
    isThroughput: true,
    measure: async (bench) => {
      await requireProgram("psql");
      return await measure(bench, "duckdb", (where) => ({
        ...where,
        task: "move",
        columns: columns(bench, DUCKDB, "VARCHAR"),
      }));
    },
  },
  {
    name: "peer.hyparquet-writer",
    isThroughput: true,
    measure: async (bench) =>
      await measure(bench, "hyparquet-writer", ({ url, folder }) => ({
        url,
        folder,
        policy: policyText({ folder, prune: "off" }),
      })),
  },
  parquetjs("peer.dsnp-parquetjs", "dsnp"),
  parquetjs("peer.parquetjs-lite", "lite"),
  {
    name: "peer.select-json-gzip",
    isThroughput: true,
    measure: async (bench) =>
      await measure(bench, "select-json-gzip", (where) => ({ ...where, rows: fraction(bench, 0.2) })),
  },
];
