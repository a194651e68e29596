/** DuckDB: takes CSV from psql's COPY through a pipe and writes Parquet, or reads Parquet that is there. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import pg from "pg";
import { work } from "./child.ts";
import { deleteRanges, readRanges } from "./plain-delete.ts";
import type { Outcome } from "./report.ts";

export type DuckdbJob =
  | {
      readonly task: "move";
      readonly url: string;
      readonly folder: string;
      /** Name and DuckDB's type of each column. */
      readonly columns: Readonly<Record<string, string>>;
    }
  | { readonly task: "query"; readonly sql: string; readonly out: string };

await work<DuckdbJob>(async (job) => {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  return job.task === "move" ? await prepareMove(connection, job) : async () => await query(connection, job);
});

async function prepareMove(
  connection: DuckDBConnection,
  { url, folder, columns }: DuckdbJob & { task: "move" },
): Promise<() => Promise<Outcome>> {
  const [pipe, out] = [join(folder, "rows.csv"), join(folder, "rows.parquet")];
  execFileSync("mkfifo", [pipe]);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const ranges = await readRanges(client);
  const types = Object.entries(columns).map(([name, type]) => `'${name}': '${type}'`);
  return async () => {
    const psql = spawn(
      "bash",
      ["-c", 'psql -X -q -d "$URL" -c "COPY public.audit TO STDOUT (FORMAT csv)" > "$PIPE"'],
      {
        env: { ...process.env, URL: url, PIPE: pipe },
        stdio: ["ignore", "ignore", "inherit"],
      },
    );
    const ended = once(psql, "exit");
    const startedMs = performance.now();
    await connection.run(
      `COPY (SELECT * FROM read_csv('${pipe}', header = false, auto_detect = false, columns = {${types.join(", ")}}))
       TO '${out}' (FORMAT parquet, COMPRESSION zstd)`,
    );
    const [code] = (await ended) as [number | null];
    if (code !== 0) throw new Error(`psql ended with ${code}`);
    const exportSeconds = (performance.now() - startedMs) / 1_000;
    const rows = await deleteRanges(client, ranges);
    await client.end();
    return {
      rows,
      bytes: statSync(out).size,
      exportSeconds,
      deleteSeconds: (performance.now() - startedMs) / 1_000 - exportSeconds,
    };
  };
}

async function query(
  connection: DuckDBConnection,
  { sql, out }: DuckdbJob & { task: "query" },
): Promise<Outcome> {
  const before = bytesRead();
  const result = await connection.runAndReadAll(`COPY (${sql}) TO '${out}' (FORMAT json)`);
  const rows = Number(result.getRows()[0]?.[0] ?? 0);
  return { rows, bytes: statSync(out).size, bytesRead: bytesRead() - before };
}

/** What this process has read of files and pipes. Source: proc_pid_io(5). */
function bytesRead(): number {
  try {
    return Number(/^rchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1] ?? Number.NaN);
  } catch {
    return Number.NaN;
  }
}
