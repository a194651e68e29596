/** @dsnp/parquetjs and parquetjs-lite: SELECT through a cursor, a row at a time into a file with GZIP. */
import { statSync } from "node:fs";
import { join } from "node:path";
import dsnp from "@dsnp/parquetjs";
import lite from "parquetjs-lite";
import pg from "pg";
import { work } from "./child.ts";
import { selectRows } from "./cursor.ts";

interface Job {
  readonly url: string;
  readonly library: "dsnp" | "lite";
  readonly folder: string;
  readonly rows: number;
  /** Name and parquetjs' type of each column. */
  readonly columns: Readonly<Record<string, string>>;
}

/** What both have in common; they were one library once. */
interface Parquetjs {
  readonly ParquetSchema: new (fields: Record<string, object>) => object;
  readonly ParquetWriter: {
    openFile(
      schema: object,
      path: string,
    ): Promise<{
      setRowGroupSize(rows: number): void;
      appendRow(row: Record<string, unknown>): Promise<void>;
      close(): Promise<void>;
    }>;
  };
}

const ROW_GROUP_ROWS = 20_000;

await work<Job>(async ({ url, library, folder, rows: count, columns }) => {
  const { ParquetSchema, ParquetWriter } = (library === "dsnp" ? dsnp : lite) as unknown as Parquetjs;
  const out = join(folder, "rows.parquet");
  const schema = new ParquetSchema(
    Object.fromEntries(
      Object.entries(columns).map(([name, type]) => [name, { type, optional: true, compression: "GZIP" }]),
    ),
  );
  const texts = Object.entries(columns).flatMap(([name, type]) => (type === "UTF8" ? [name] : []));
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return async () => {
    const writer = await ParquetWriter.openFile(schema, out);
    writer.setRowGroupSize(ROW_GROUP_ROWS);
    let rows = 0;
    for await (const batch of selectRows(client, count)) {
      for (const row of batch) {
        for (const name of texts) if (typeof row[name] === "object") row[name] = JSON.stringify(row[name]);
        row["id"] = Number(row["id"]);
        await writer.appendRow(row);
      }
      rows += batch.length;
    }
    await writer.close();
    await client.end();
    return { rows, bytes: statSync(out).size };
  };
});
