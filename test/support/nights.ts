/** Whole nights between changes of a table's definition, as the tests of schema change live them. */
import { expect } from "vitest";
import { moved, NOTHING, type Scenario } from "./scenario.ts";

/** Rows of a day that is due, or of one that stays hot. */
export const insertRows = async (scenario: Scenario, values: string): Promise<void> => {
  await scenario.query(`INSERT INTO public.audit_logs ${values}`);
};

/** A night that moves everything that is due. */
export async function night(scenario: Scenario, rows: number): Promise<void> {
  const summary = await scenario.run();
  expect({ ...moved(summary), state: summary.state }).toEqual({
    ...NOTHING,
    exported: rows,
    pruned: rows,
    state: "done",
  });
}
