/** Databases for tests: each caller gets one of its own on the run's server, so that test files cannot meet. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { brokerAddress } from "./broker-address.ts";

export interface TestDatabase extends AsyncDisposable {
  /** With user and password; the user is a superuser. */
  readonly url: string;
  readonly name: string;
}

let server: Promise<string> | undefined;
let migrated: Promise<string> | undefined;

/** The URL of the run's server, its database `postgres`. Starts the server if this is the first call of the run. */
function postgresUrl(): Promise<string> {
  server ??= askBroker("postgres");
  return server;
}

/**
 * A fresh, empty database: UTF8, locale C, on the run's server unless another one is named. Disposing drops it, whoever
 * is still connected.
 *
 *     await using database = await createDatabase();
 */
export async function createDatabase(onServer?: string): Promise<TestDatabase> {
  return await create(onServer ?? (await postgresUrl()), "template0 ENCODING 'UTF8' LOCALE 'C'");
}

/** The same on the run's server, with the control schema in it. */
export async function createMigratedDatabase(): Promise<TestDatabase> {
  migrated ??= askBroker("migrated");
  return await create(await postgresUrl(), `${await migrated} STRATEGY FILE_COPY`);
}

/** A copy of a database that nobody is connected to. */
export async function copyDatabase(database: Pick<TestDatabase, "url" | "name">): Promise<TestDatabase> {
  return await create(database.url, `${database.name} STRATEGY FILE_COPY`);
}

async function create(onServer: string, template: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  const serverUrl = new URL(onServer);
  serverUrl.pathname = "/postgres";
  await runAlone(serverUrl.href, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    name,
    url: url.href,
    async [Symbol.asyncDispose]() {
      await runAlone(serverUrl.href, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** Runs one statement on a connection of its own: neither CREATE nor DROP DATABASE can be in a transaction. */
export async function runAlone(url: string, statement: string): Promise<pg.QueryResult> {
  const client = new pg.Client(url);
  client.on("error", () => {}); // a lost connection also rejects the query, which is where it is told
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}

async function askBroker(what: "postgres" | "migrated"): Promise<string> {
  const response = await fetch(brokerAddress(what));
  const answer = await response.text();
  if (!response.ok) throw new Error(`no Postgres for this test run: ${answer}`);
  return answer;
}
