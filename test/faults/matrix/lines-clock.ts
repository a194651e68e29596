/** Line 43: clocks that are wrong or jump, and zones whose days have 23 or 25 hours. No row's day depends on them (I11). */
import { expect } from "vitest";
import { auditRows } from "../../support/audit-rows.ts";
import { AS_OF, type Scenario } from "../../support/scenario.ts";
import { clockEnviron } from "../../support/shifted-clock.ts";
import { ONE_SEGMENT } from "./busy.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import { codeOf, endedWith, pausedAt } from "./processes.ts";

const TWO_DAYS_MS = 2 * 86_400_000;
/** Days on which clocks change somewhere, and a plain one before the first that stays hot. */
const DAYS = ["2025-10-05", "2025-10-26", "2025-11-02", "2026-01-29"];
const ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"];
const ROWS = 60;

async function fewDays(bench: FaultBench): Promise<Scenario> {
  const scenario = await bench.scenario({ environ: ONE_SEGMENT });
  for (const [index, day] of DAYS.entries()) await scenario.insert(auditRows(day, 1 + index * 1_000, ROWS));
  await scenario.insert(auditRows("2026-01-30", 9_001, ROWS));
  return scenario;
}

/** The archived days, as the journal has them, against those of the truth in UTC. */
async function expectSameDays(bench: FaultBench, scenario: Scenario): Promise<void> {
  const events = (await bench.journal(scenario)).map(({ event }) => event);
  const archived = events.flatMap(({ type, dayFrom, dayTo, rows }) =>
    type === "sealed" ? [`${String(dayFrom)} ${String(dayTo)} ${String(rows)}`] : [],
  );
  const days = await scenario.query(
    `SELECT day || ' ' || day || ' ' || count(*) AS line FROM (SELECT (ts AT TIME ZONE 'UTC')::date AS day FROM truth.rows) one
     WHERE day < '2026-01-30' GROUP BY day`,
  );
  expect(archived.sort()).toEqual(days.map(({ line }) => line).sort());
  expect(await scenario.count()).toBe(ROWS);
}

export const CLOCK_LINES: readonly FaultLine[] = [
  {
    number: 43,
    fault: "clock +-2 days, zones with daylight saving",
    stage: "run",
    expected: "OK",
    async run(bench) {
      const refused = await fewDays(bench);
      for (const startMs of [TWO_DAYS_MS, -TWO_DAYS_MS]) {
        const run = bench.keep(refused.spawnRun(clockEnviron({ startMs })));
        const said = await bench.unchanged(refused, async () => await endedWith(run, 12, /^E_CLOCK /));
        expect(codeOf(said)).toBe("E_CLOCK");
      }
      for (const laterMs of [TWO_DAYS_MS, -TWO_DAYS_MS]) {
        const scenario = await fewDays(bench);
        const run = await pausedAt(bench, scenario, "export.reserved@2", clockEnviron({ laterMs }));
        run.signal("SIGUSR2");
        run.resume();
        await endedWith(run, 0);
        await expectSameDays(bench, scenario);
        await bench.settle(scenario);
      }
      for (const zone of ZONES) {
        const scenario = await fewDays(bench);
        await scenario.query(`ALTER DATABASE ${scenario.database} SET TimeZone = '${zone}'`);
        await endedWith(bench.keep(scenario.spawnRun({ TZ: zone, PGTZ: zone }, AS_OF)), 0);
        await expectSameDays(bench, scenario);
        await bench.settle(scenario, { environ: { TZ: "UTC" } });
      }
      return `2 days off: E_CLOCK, nothing changed; jumps of 2 days in a run and ${ZONES.length} zones: the same days`;
    },
  },
];
