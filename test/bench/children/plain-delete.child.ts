/** The deletes of a move without its proofs. */
import pg from "pg";
import { work } from "./child.ts";
import { deleteRanges, readRanges } from "./plain-delete.ts";

await work<{ readonly url: string }>(async ({ url }) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const ranges = await readRanges(client);
  return async () => {
    const rows = await deleteRanges(client, ranges);
    await client.end();
    return { rows };
  };
});
