/** A test's own connections: Firnline's `Database`, and plain SQL beside it. */
import { createHash } from "node:crypto";
import pg from "pg";

import type { SourceRequest } from "../../src/hot/postgres/describe.ts";
import { PostgresHot } from "../../src/hot/postgres/postgres-hot.ts";
import { Database } from "../../src/postgres/database.ts";
import type { NewSha256 } from "../../src/segment/digest.ts";

export const newHash: NewSha256 = () => createHash("sha256");

export const OPTIONS = {
  applicationName: "firnline test",
  connectionsMax: 3,
  lockTimeoutMs: 10_000,
  copySilenceMs: 10_000,
  statementMs: 60_000,
  idleInTransactionMs: 60_000,
} as const;

export function openDatabase(connectionString: string): Database {
  return new Database({ ...OPTIONS, connectionString });
}

/** The hot port on `table` of schema public, with time `ts` and the primary key, unless `request` says another. */
export function hotOf(database: Database, table: string, request: Partial<SourceRequest> = {}): PostgresHot {
  return new PostgresHot({
    database,
    newHash,
    listDetaching: async () => [],
    request: {
      table: { schema: "public", name: table },
      time: "ts",
      zone: null,
      key: null,
      rules: [{ name: "default", when: null }],
      deletes: true,
      ...request,
    },
  });
}

/** A plain client, closed with `await using`. */
export async function connect(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: async () => await client.end() });
}
