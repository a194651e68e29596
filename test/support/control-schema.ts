/** Disasters of the control schema alone: lost, or restored from a backup, while the table and the archive go on. */
import { migrateDatabase } from "../../src/wiring.ts";
import type { Scenario } from "./scenario.ts";

async function tables(scenario: Scenario): Promise<string[]> {
  const rows = await scenario.query(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'firnline' AND tablename <> 'migration' ORDER BY 1",
  );
  return rows.map(({ name }) => name as string);
}

/** The control schema as a backup has it. */
export async function backUpCatalog(scenario: Scenario): Promise<void> {
  const copies = (await tables(scenario)).map(
    (table) => `CREATE TABLE backup.${table} AS TABLE firnline.${table}`,
  );
  await scenario.query(["CREATE SCHEMA backup", ...copies].join("; "));
}

export async function restoreCatalog(scenario: Scenario): Promise<void> {
  const names = await tables(scenario);
  const inserts = names.map(
    (table) => `INSERT INTO firnline.${table} OVERRIDING SYSTEM VALUE TABLE backup.${table}`,
  );
  const emptied = names.map((table) => `firnline.${table}`).join(", ");
  // Without the triggers of foreign keys: a backup is restored in whatever order.
  await scenario.query(
    [`BEGIN; TRUNCATE ${emptied}`, "SET LOCAL session_replication_role = replica", ...inserts, "COMMIT"].join(
      "; ",
    ),
  );
}

export async function loseCatalog(scenario: Scenario): Promise<void> {
  await scenario.query("DROP SCHEMA firnline CASCADE");
  await migrateDatabase(scenario.url, scenario.settings());
}
