/** The truth of a scenario beside its database, for tests that put the database back to an earlier state. */
import type { Scenario } from "./scenario.ts";

/** Remembers what is true now; the answer makes that the truth of a scenario, whatever its database says. */
export async function keepTruth(scenario: Scenario): Promise<(restored: Scenario) => Promise<void>> {
  const rows = await scenario.query("SELECT to_jsonb(one)::text AS row FROM truth.rows one");
  const document = `[${rows.map(({ row }) => row).join(",")}]`;
  return async (restored) => {
    await restored.query("TRUNCATE truth.rows");
    await restored.query(
      "INSERT INTO truth.rows SELECT * FROM jsonb_populate_recordset(NULL::truth.rows, $1::jsonb)",
      [document],
    );
  };
}
