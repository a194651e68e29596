/** Archiving as many write it first: SELECT, JSON, gzip, then one DELETE. */
import { once } from "node:events";
import { createWriteStream, statSync } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { createGzip } from "node:zlib";
import pg from "pg";
import { work } from "./child.ts";
import { selectRows } from "./cursor.ts";

interface Job {
  readonly url: string;
  readonly folder: string;
  readonly rows: number;
}

await work<Job>(async ({ url, folder, rows: count }) => {
  const out = join(folder, "rows.ndjson.gz");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return async () => {
    const gzip = createGzip();
    const file = gzip.pipe(createWriteStream(out));
    let rows = 0;
    for await (const batch of selectRows(client, count)) {
      const lines = batch.map((row) => `${JSON.stringify(row)}\n`).join("");
      if (!gzip.write(lines)) await once(gzip, "drain");
      rows += batch.length;
    }
    gzip.end();
    await finished(file);
    const deleted = await client.query("DELETE FROM public.audit WHERE id <= $1", [count]);
    await client.end();
    if (deleted.rowCount !== rows) throw new Error(`${deleted.rowCount} rows deleted, ${rows} archived`);
    return { rows, bytes: statSync(out).size };
  };
});
