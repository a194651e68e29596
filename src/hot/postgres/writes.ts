/**
 * How much is written to the server, by its transaction ids: unlike statistics they are never late, and every role may see
 * them. Source: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
 */
import type { Database } from "../../postgres/database.ts";
import type { WriteCount } from "../port.ts";

export async function readWrites(database: Database): Promise<WriteCount> {
  const { ended } = database.writes;
  const { rows } = await database.transaction(
    "repeatable read, read only",
    "writes",
    async (tx) =>
      await tx.query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next", [], "writes"),
  );
  return { all: BigInt(rows[0]?.["next"] as string), begun: database.writes.begun, ended };
}
