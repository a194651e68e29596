/**
 * Numbered, append-only SQL migrations of the control schema. The version row goes in first, in the same transaction
 * as the migration's statements; twenty migrators at once are fine, and an older binary refuses a newer schema.
 */
import { readdirSync, readFileSync } from "node:fs";
import { FirnlineError, invariant } from "../../errors.ts";
import type { Database, Transaction } from "../../postgres/database.ts";

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

const DIRECTORY = new URL("../../../schemas/control/", import.meta.url);

/** Any number; it only has to be the same in every migrator. */
const MIGRATION_LOCK = 7_173_001n;

export function readMigrations(directory: URL = DIRECTORY): Migration[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name, index) => {
      const version = Number(/^(\d{6})_[a-z0-9_]+\.sql$/.exec(name)?.[1]);
      invariant(version === index + 1, name, `migrations are numbered without gaps, expected ${index + 1}`);
      return { version, name, sql: readFileSync(new URL(name, directory), "utf8") };
    });
}

/** The version of the control schema; 0 where there is none. */
export async function readSchemaVersion(tx: Transaction): Promise<number> {
  const { rows } = await tx.query(
    "SELECT to_regclass('firnline.migration') IS NOT NULL AS present",
    [],
    "version",
  );
  if (rows[0]?.["present"] !== true) return 0;
  const found = await tx.query(
    "SELECT coalesce(max(version), 0) AS version FROM firnline.migration",
    [],
    "version",
  );
  return Number(found.rows[0]?.["version"]);
}

function refuseNewer(found: number, known: number): void {
  const newer = newerSchema(found, known);
  if (newer !== null) throw newer;
}

/** An older Firnline must not touch a schema of whose rules it knows nothing. */
export function newerSchema(found: number, known: number): FirnlineError | null {
  if (found <= known) return null;
  return new FirnlineError({
    code: "E_CATALOG",
    subject: "schema firnline",
    problem: `the control schema has version ${found}, this Firnline knows ${known}`,
    hint: "Use the Firnline that migrated it, or a newer one",
  });
}

/** Brings the control schema up to date; returns the names of the migrations that were applied. */
export async function migrate(
  database: Database,
  migrations: readonly Migration[] = readMigrations(),
): Promise<string[]> {
  const applied: string[] = [];
  for (const migration of migrations) {
    const done = await database.transaction("read write", "migrate", async (tx) => {
      // A lock that ends with the transaction, so that a transaction pooler does no harm.
      await tx.query("SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK.toString()], "migrate");
      const found = await readSchemaVersion(tx);
      refuseNewer(found, migrations.length);
      if (found >= migration.version) return false;
      if (found === 0) {
        await tx.query("CREATE SCHEMA IF NOT EXISTS firnline", [], "migrate");
        await tx.query(
          `CREATE TABLE IF NOT EXISTS firnline.migration (
             version int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
          [],
          "migrate",
        );
      }
      await tx.query(
        "INSERT INTO firnline.migration (version, name) VALUES ($1, $2)",
        [migration.version, migration.name],
        "migrate",
      );
      await tx.script(migration.sql, `migrate ${migration.name}`);
      return true;
    });
    if (done) applied.push(migration.name);
  }
  return applied;
}

/** Throws `E_CATALOG` unless the control schema is exactly the one that this Firnline knows. */
export async function checkSchemaVersion(database: Database, known = readMigrations().length): Promise<void> {
  const found = await database.transaction("repeatable read, read only", "version", readSchemaVersion);
  refuseNewer(found, known);
  if (found < known) {
    throw new FirnlineError({
      code: "E_CATALOG",
      subject: "schema firnline",
      problem:
        found === 0 ? "there is no control schema" : `the control schema has version ${found} of ${known}`,
      hint: "Run `firnline migrate`",
    });
  }
}
