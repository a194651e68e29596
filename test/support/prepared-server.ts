/** What a run's server is given before the first test, since thousands of sessions and databases follow. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { readSettings } from "../../src/config.ts";
import { migrateDatabase } from "../../src/wiring.ts";

/** Each connection would hash the password 4,096 times, at either end. Only for a server of ours. */
export async function simplifyPassword(url: string): Promise<void> {
  const { username, password } = new URL(url);
  await withClient(url, async (client) => {
    await client.query("SET scram_iterations = 1");
    await client.query(
      `ALTER ROLE ${client.escapeIdentifier(username)} PASSWORD ${client.escapeLiteral(password)}`,
    );
  });
}

/** A database with the control schema and nothing else, to be copied; returns its name. */
export async function createMigrated(url: string): Promise<string> {
  const name = `migrated_${randomBytes(8).toString("hex")}`;
  const own = new URL(url);
  own.pathname = `/${name}`;
  await withClient(url, async (client) => {
    await client.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'`);
    await migrateDatabase(own.href, readSettings({}));
    // A session in it, autovacuum's too, would hold up whoever copies it.
    await client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  });
  return name;
}

export async function dropMigrated(url: string, name: string): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${name}`);
  });
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
