/**
 * The roles of `infra/roles.sql` on a test's database, and who uses which. The script is for psql, which does not come with
 * the embedded Postgres; of psql's own commands it uses `\set` and `\if`, and these are read here.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import pg from "pg";
import { runAlone } from "./postgres.ts";

const SCRIPT = new URL("../../infra/roles.sql", import.meta.url);

export const ROLES = ["exporter", "pruner", "retriever", "collector"] as const;
export type Role = (typeof ROLES)[number];

/** The role that a command of `firnline` is for; null: the administrator. */
export function roleFor(command: string): Role | null {
  if (["run", "plan", "doctor", "hold"].includes(command)) return "pruner";
  if (["retrieve", "rehydrate", "restores", "verify", "status"].includes(command)) return "retriever";
  return command === "collect" ? "collector" : null;
}

export type Variables = Readonly<Record<string, string>>;

/** What psql would send of the script. */
export async function readRolesScript(given: Variables): Promise<string> {
  const variables: Record<string, string> = { ...given };
  const sent: string[] = [];
  /** Whether the lines of each open `\if` count. */
  const open: boolean[] = [];
  for (const line of (await readFile(SCRIPT, "utf8")).split("\n")) {
    const counts = open.every(Boolean);
    const [, command, rest = ""] = /^\s*\\(\w+)\s*(.*)$/.exec(line) ?? [];
    if (command === "if") {
      const name = /^:\{\?(\w+)\}$/.exec(rest)?.[1];
      if (name === undefined) throw new Error(`not read by this interpreter: ${line}`);
      open.push(variables[name] !== undefined);
    } else if (command === "else") open.push(!open.pop());
    else if (command === "endif") open.pop();
    else if (command === "set") {
      const [name = "", value = ""] = rest.split(/\s+/);
      if (counts) variables[name] = value;
    } else if (command !== undefined) throw new Error(`not read by this interpreter: ${line}`);
    else if (counts && !/^\s*--/.test(line)) sent.push(line);
  }
  return sent.join("\n").replaceAll(/(?<!:):(['"])(\w+)\1/g, (_, quote: string, name: string) => {
    const value = variables[name];
    if (value === undefined) throw new Error(`the script's variable ${name} is not set`);
    return quote === "'" ? pg.escapeLiteral(value) : pg.escapeIdentifier(value);
  });
}

/** Runs the script on the database of `url`, which is an administrator's. */
export async function applyRoles(url: string, variables: Variables): Promise<void> {
  const DBNAME = decodeURIComponent(new URL(url).pathname.slice(1));
  const text = await readRolesScript({ DBNAME, ...variables });
  await runAlone(url, text);
}

/** The roles on one database, with passwords, and the copies of that database. Their table belongs to none of them. */
export class GrantedRoles {
  readonly #database: string;
  readonly #password = randomBytes(12).toString("hex");

  private constructor(database: string) {
    this.#database = database;
  }

  /** `url` is an administrator's. Whole partitions may be dropped. */
  static async on(url: string, database: string, table: string): Promise<GrantedRoles> {
    const roles = new GrantedRoles(database);
    const names = Object.fromEntries(ROLES.map((role) => [role, roles.#name(role)]));
    const owner = roles.#name("owner");
    await runAlone(url, `CREATE ROLE ${owner}`);
    const relations = await runAlone(
      url,
      `SELECT relid::regclass::text AS name, relnamespace::regnamespace::text AS schema
       FROM (SELECT ${pg.escapeLiteral(table)}::regclass AS relid UNION
             SELECT relid FROM pg_partition_tree(${pg.escapeLiteral(table)})) t JOIN pg_class c ON c.oid = t.relid`,
    );
    for (const { name, schema } of relations.rows as { name: string; schema: string }[]) {
      await runAlone(
        url,
        `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${owner}; ALTER TABLE ${name} OWNER TO ${owner}`,
      );
    }
    await applyRoles(url, { table, drops: "on", ...names });
    await runAlone(
      url,
      ROLES.map((role) => `ALTER ROLE ${roles.#name(role)} PASSWORD '${roles.#password}'`).join("; "),
    );
    return roles;
  }

  /** `url` with the role in the place of its user. */
  url(url: string, role: Role): string {
    const changed = new URL(url);
    [changed.username, changed.password] = [this.#name(role), this.#password];
    return changed.href;
  }

  /** After the database, with what the roles had in it, is gone. */
  async drop(url: string): Promise<void> {
    const server = new URL(url);
    server.pathname = "/postgres";
    const names = [...ROLES, "owner" as const].map((role) => this.#name(role));
    await runAlone(server.href, `DROP ROLE ${names.join(", ")}`);
  }

  #name(role: Role | "owner"): string {
    return `${this.#database}_${role}`;
  }
}
