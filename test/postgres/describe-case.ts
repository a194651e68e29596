/** Builds the tables of `describe-hazards.ts`, each in a schema of its own, and looks at them as Firnline does. */
import { randomBytes } from "node:crypto";
import type pg from "pg";

import { type FirnlineError, FirnlineErrors } from "../../src/errors.ts";
import type { Database } from "../../src/postgres/database.ts";
import type { PostgresHot } from "../../src/hot/postgres/postgres-hot.ts";
import { runAlone, type TestDatabase } from "../support/postgres.ts";
import { connect, hotOf, openDatabase } from "./connect.ts";
import type { Hazard } from "./describe-hazards.ts";

export interface Case {
  readonly hot: PostgresHot;
  /** What `hot` works on; its sessions are those of the case's role. */
  readonly database: Database;
  readonly schema: string;
  /** A superuser's, with the schema as its search path. */
  readonly client: pg.Client;
}

export class Cases implements AsyncDisposable {
  /** The server's major version. */
  readonly version: number;
  readonly #database: TestDatabase;
  readonly #role: string;
  readonly #extensions: ReadonlySet<string>;
  #schemas = 0;

  private constructor(
    database: TestDatabase,
    role: string,
    version: number,
    extensions: ReadonlySet<string>,
  ) {
    this.#database = database;
    this.#role = role;
    this.version = version;
    this.#extensions = extensions;
  }

  /** Takes the database over, and makes a role that is no superuser. */
  static async on(database: TestDatabase): Promise<Cases> {
    const shown = await runAlone(database.url, "SHOW server_version_num");
    const offered = await runAlone(database.url, "SELECT name FROM pg_available_extensions");
    const role = `firnline_test_${randomBytes(6).toString("hex")}`;
    await runAlone(database.url, `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    return new Cases(
      database,
      role,
      Math.floor(Number(shown.rows[0].server_version_num) / 10_000),
      new Set(offered.rows.map((row: { name: string }) => row.name)),
    );
  }

  /** Why the case cannot be built here; null if it can. */
  lacks({ since = 0, extension = "plpgsql" }: Hazard): string | null {
    if (since > this.version) return `needs PostgreSQL ${since}`;
    return this.#extensions.has(extension) ? null : `needs the extension ${extension}`;
  }

  async build<T>(hazard: Hazard, look: (built: Case) => Promise<T>): Promise<T> {
    this.#schemas += 1;
    const schema = `case_${this.#schemas}`;
    await using client = await connect(this.#database.url);
    await client.query(
      `CREATE SCHEMA ${schema}; GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${this.#role}; SET search_path = ${schema}`,
    );
    // The role may have been cured of an earlier case.
    await client.query(`ALTER ROLE ${this.#role} NOBYPASSRLS; SET allow_system_table_mods = on`);
    try {
      if (hazard.sql !== "") await client.query(this.#named(hazard.sql));
      return await this.look(
        hazard,
        schema,
        async (hot, database) => await look({ hot, database, schema, client }),
      );
    } finally {
      if (hazard.after !== undefined) await client.query(this.#named(hazard.after));
      await client.query(`DROP SCHEMA ${schema} CASCADE`);
    }
  }

  /** Looks in new sessions at what `build` has made. */
  async look<T>(
    hazard: Hazard,
    schema: string,
    work: (hot: PostgresHot, database: Database) => Promise<T>,
  ): Promise<T> {
    await using database = openDatabase(this.#urlOf(hazard));
    const { table, ...request } = hazard.request ?? {};
    const name = { schema: table?.schema || schema, name: table?.name ?? "t" };
    return await work(hotOf(database, "t", { ...request, table: name }), database);
  }

  /** With one name for all schemas, databases and roles of tests. */
  masked(text: string, schema: string): string {
    return text
      .replaceAll(new RegExp(`\\b${schema}\\b`, "g"), "app")
      .replaceAll(this.#database.name, "DATABASE")
      .replaceAll(this.#role, "ROLE");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await runAlone(this.#database.url, `DROP OWNED BY ${this.#role}`);
    await runAlone(this.#database.url, `DROP ROLE ${this.#role}`);
    await this.#database[Symbol.asyncDispose]();
  }

  #urlOf(hazard: Hazard): string {
    const url = new URL(this.#database.url);
    if (hazard.asRole) [url.username, url.password] = [this.#role, "secret"];
    return url.href;
  }

  /** `%I` is the role, unless it belongs to a `format()` within the SQL. */
  #named(sql: string): string {
    return sql.replaceAll("%I", (found, at: number) =>
      /(?:TO|FROM|ROLE) $/.test(sql.slice(0, at)) ? this.#role : found,
    );
  }
}

/** What `describe` refuses the table for; nothing if it takes it. */
export async function refusalsOf(hot: PostgresHot): Promise<readonly FirnlineError[]> {
  try {
    await hot.describe();
    return [];
  } catch (error) {
    if (error instanceof FirnlineErrors) return error.errors;
    throw error;
  }
}

/** As `doctor` prints it: the message, then what is ready to be pasted. */
export function told({
  message,
  fix,
}: {
  readonly message: string;
  readonly fix: readonly string[];
}): string {
  return [message, ...fix.map((line) => `    ${line}`)].join("\n");
}

/** Does what the lines say, one statement after the other: some cannot share a transaction. */
export async function paste(client: pg.Client, fix: readonly string[]): Promise<void> {
  let statement = "";
  for (const line of fix) {
    statement += `${line}\n`;
    if (!line.endsWith(";")) continue;
    await client.query(statement);
    statement = "";
  }
}
