/** Lines that do not hold, for the test that the harness sees it. */
import { rm } from "node:fs/promises";
import { auditRows } from "../../support/audit-rows.ts";
import { listArchive } from "../../support/archive-damage.ts";
import type { Scenario } from "../../support/scenario.ts";
import { type FaultLine, NotToBeHad } from "./line.ts";

function line(number: number, fault: string, harm: (scenario: Scenario) => Promise<unknown>): FaultLine {
  return {
    number,
    fault,
    stage: "none",
    expected: "OK",
    async run(bench) {
      const scenario = await bench.scenario();
      await scenario.insert(auditRows("2026-01-10", 1, 60));
      await scenario.run();
      await harm(scenario);
      await bench.settle(scenario);
      return "as expected";
    },
  };
}

/** With each end of a run: what `sql` does. */
const afterEachRun = (sql: string): string => `
  CREATE FUNCTION public.harm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${sql}; RETURN NULL; END $$;
  CREATE TRIGGER harm AFTER UPDATE ON firnline.run FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION public.harm()`;

const LATE = "nextval('public.late'), '2026-01-11'::timestamptz, 'late'";

export const LINES: readonly FaultLine[] = [
  line(1, "a row is lost", async (scenario) => {
    await scenario.insert(auditRows("2026-02-20", 1_001, 3));
    await scenario.query("DELETE FROM public.audit_logs WHERE id = 1002");
  }),
  line(2, "a row is there twice", async (scenario) => {
    await scenario.query("INSERT INTO public.audit_logs SELECT * FROM truth.rows WHERE id = 7");
  }),
  line(3, "an object is gone", async (scenario) => {
    for (const path of await listArchive(scenario, ".parquet")) await rm(path);
  }),
  line(4, "the second run moves something", async (scenario) => {
    await scenario.query("CREATE SEQUENCE public.late START 5001");
    await scenario.query(
      afterEachRun(`WITH fresh AS (INSERT INTO public.audit_logs SELECT ${LATE} RETURNING *)
        INSERT INTO truth.rows SELECT * FROM fresh`),
    );
  }),
  line(5, "the second run writes something", async (scenario) => {
    await scenario.query(afterEachRun("UPDATE firnline.segment SET tagged_at = clock_timestamp()"));
  }),
  {
    ...line(6, "a refusal that deletes", async () => {}),
    async run(bench) {
      const scenario = await bench.scenario();
      await scenario.insert(auditRows("2026-01-10", 1, 60));
      await bench.unchanged(scenario, async () => await scenario.run());
      return "as expected";
    },
  },
  {
    ...line(7, "what it needs is not there", async () => {}),
    run: async () => await Promise.reject(new NotToBeHad("no such server")),
  },
  line(8, "all is well", async () => {}),
];
