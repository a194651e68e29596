/** A run that lost its lease, and what it must not change any more. */
import { readJournal, readRows } from "./oracle.ts";
import type { Scenario } from "./scenario.ts";

/** What a stale run must not change any more: rows, catalog, journal (I6). */
export async function fencedState(scenario: Scenario): Promise<unknown> {
  const catalog: Record<string, unknown> = {};
  for (const table of ["pipeline", "segment", "chunk", "draft", "outbox", "run"]) {
    const rows = await scenario.query(`SELECT to_jsonb(t)::text AS row FROM firnline.${table} t`);
    catalog[table] = rows.map(({ row }) => row).sort();
  }
  return { catalog, rows: await readRows(scenario, scenario.table), journal: await readJournal(scenario) };
}

export const expireLease = async (scenario: Scenario): Promise<unknown> =>
  await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = now() - interval '1 second'");
