/**
 * A season of nights over leaves of any width: rows come, late too, change and go between the runs, runs end anywhere, and
 * at the end every leaf has left the table as a whole. What `test/bench/partitions.ts` does with 365 leaves of 50,000 rows, small.
 */
import { expect, test } from "vitest";
import { FAILPOINTS } from "../../src/failpoint.ts";
import { expectNothingLost, expectRetrievalComplete, expectSettled } from "../support/oracle.ts";
import { leaf, leavesOf, PARENT } from "../support/partitioned-logs.ts";
import { Scenario } from "../support/scenario.ts";

const FIRST = Date.parse("2026-01-01");
const DAY_MS = 86_400_000;
const DAYS = 24;
const date = (day: number): string => new Date(FIRST + day * DAY_MS).toISOString().slice(0, 10);

/** The same numbers for the same seed: a linear congruential generator. */
function numbersOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test.each([1, 2])("every row is found on every night, seed %i", async (seed) => {
  const number = numbersOf(seed);
  let ddl = PARENT;
  for (let from = 0, to = 0; from < DAYS; from = to) {
    to = Math.min(DAYS, from + 1 + number(7));
    ddl += leaf(`public.leaf_${from}`, date(from), date(to));
  }
  await using scenario = await Scenario.create({
    ddl,
    prune: number(2) === 0 ? "auto" : "partitions",
    environ: { FIRNLINE_SEGMENT_MIB: "1024" },
    rules: [{ name: "short", when: "action = 'short'", hot: "10d" }],
  });
  let id = 0;
  const insertSome = async (firstDay: number, lastDay: number): Promise<void> => {
    const rows = Array.from({ length: 20 + number(120) }, () => {
      const at = FIRST + (firstDay + number(lastDay - firstDay + 1)) * DAY_MS + number(DAY_MS);
      id += 1;
      return `(${id}, '${new Date(at).toISOString()}'::timestamptz, '${number(3) === 0 ? "short" : "login"}', 'm${number(9)}', NULL::jsonb)`;
    });
    await scenario.insert(`VALUES ${rows.join(", ")}`);
  };
  await insertSome(0, DAYS - 1);
  const nights = [20, 38, 46, DAYS + 31];
  for (const [index, night] of nights.entries()) {
    const isLast = index === nights.length - 1;
    const gone = DAYS - (await leavesLeft(scenario));
    // Rows go where there is a leaf for them: up to the last day, and rarely far back.
    if (!isLast) {
      await insertSome(Math.min(DAYS - 1, gone + number(5)), DAYS - 1);
      const changed = await hotIds(scenario, `id % 17 = ${number(17)}`);
      await scenario.change(
        (table) => `UPDATE ${table} SET message = 'changed ${night}' WHERE id IN (${changed})`,
      );
      const deleted = await hotIds(scenario, `id % 29 = ${number(29)}`);
      await scenario.change((table) => `DELETE FROM ${table} WHERE id IN (${deleted})`);
    }
    // A run that ends somewhere, or reaches its end: what it leaves behind is as complete as anything.
    const FIRNLINE_FAILPOINT = `${FAILPOINTS[number(FAILPOINTS.length)]}:error@${1 + number(6)}`;
    await scenario.failuresOf({ asOf: date(night), environ: { FIRNLINE_FAILPOINT } });
    await expectRetrievalComplete(scenario);
    const run = await scenario.run({ asOf: date(night) });
    expect({ state: run.state, failures: run.failures, drift: run.drift }, `night ${night}`).toEqual({
      state: "done",
      failures: [],
      drift: [],
    });
    await expectRetrievalComplete(scenario);
  }
  expect(await leavesOf(scenario)).toEqual([]);
  await expectNothingLost(scenario);
  await expectSettled(scenario, { asOf: date(DAYS + 31) });
});

/** The application knows only the rows that are still in the table. */
async function hotIds(scenario: Scenario, condition: string): Promise<string> {
  const rows = await scenario.query(`SELECT id FROM ${scenario.table} WHERE ${condition}`);
  return ["NULL", ...rows.map((row) => row["id"])].join(", ");
}

/** Days that still have a leaf: leaves go from the front. */
async function leavesLeft(scenario: Scenario): Promise<number> {
  const [first] = (await leavesOf(scenario))
    .map((name) => Number(name.slice("leaf_".length)))
    .sort((a, b) => a - b);
  return DAYS - (first ?? DAYS);
}
