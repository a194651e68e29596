/** Cold segments to be restored: a scenario of three cold days, a price list that makes them dear, and a clock of its own. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { objectLocator } from "../../src/archive/locators.ts";
import type { ObjectHead } from "../../src/archive/port.ts";
import type { Clock } from "../../src/environment.ts";
import { parseDay } from "../../src/rows/day.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { wire, type Wired } from "../../src/wiring.ts";
import { auditRows } from "./audit-rows.ts";
import { Scenario, type ScenarioOptions } from "./scenario.ts";

export const COLD_DAYS = ["2025-12-28", "2025-12-29", "2025-12-30"] as const;
export const COLD_ROWS = 60;

/** Three cold segments, a warm one and a hot day. */
export async function createColdDays(options: ScenarioOptions = {}): Promise<Scenario> {
  const scenario = await createDays(options);
  await scenario.run();
  return scenario;
}

/** The same before the run that makes them. */
export async function createDays(options: ScenarioOptions = {}): Promise<Scenario> {
  const scenario = await Scenario.create(options);
  await fillColdDays(scenario);
  return scenario;
}

export async function fillColdDays(scenario: Scenario): Promise<void> {
  for (const [at, day] of COLD_DAYS.entries()) {
    await scenario.insert(auditRows(day, 1 + at * 1_000, COLD_ROWS));
  }
  await scenario.insert(auditRows("2026-01-20", 5_001, COLD_ROWS));
  await scenario.insert(auditRows("2026-02-20", 6_001, COLD_ROWS));
}

/** A dollar an object and nothing else, so that sums are exact; Bulk is free. */
export async function writePrices(folder: string, minutesMax = 720): Promise<Record<string, string>> {
  const file = join(folder, "prices.json");
  const standard = { perGb: 0, perThousandRequests: 1_000, minutesMax };
  const bulk = { perGb: 0, perThousandRequests: 0, minutesMax: 2_880 };
  const prices = {
    classes: { STANDARD: { perGbMonth: 0 }, DEEP_ARCHIVE: { restores: { standard, bulk } } },
  };
  await writeFile(file, JSON.stringify(prices));
  return { FIRNLINE_PRICES: file };
}

export const DOLLAR = 1_000_000_000n;

/** A clock that goes on when somebody sleeps, and jumps when a test says so. */
export class JumpingClock implements Clock {
  #now = Date.now();
  #monotonicMs = 0;
  /** Called with each sleep, before the time has passed. */
  onSleep: () => void = () => {};

  now = (): EpochMs => this.#now as EpochMs;
  monotonicMs = (): number => this.#monotonicMs;

  sleep = async (ms: number): Promise<void> => {
    this.onSleep();
    this.#now += ms;
    this.#monotonicMs += ms;
    await new Promise((resolve) => setImmediate(resolve));
  };

  jump(ms: number): void {
    this.#now += ms;
  }
}

export function wired(scenario: Scenario, environ: Record<string, string>, clock?: Clock): Wired {
  const { policy, url: connectionString } = scenario;
  const settings = scenario.settings(environ);
  return wire({ policy, connectionString, settings, ...(clock === undefined ? {} : { clock }) });
}

/** The cold objects, oldest first, as the store has them. */
export async function coldHeads({ environment }: Pick<Wired, "environment">): Promise<ObjectHead[]> {
  const { archive, catalog, policy } = environment;
  const [from, to] = [COLD_DAYS[0], COLD_DAYS[2]].map((day) => parseDay(day));
  const segments = await catalog.readableNow(policy.pipeline, from as never, to as never);
  const heads = segments.map(({ record }) => archive.head(objectLocator(policy.pipeline, record)));
  return (await Promise.all(heads)).filter((head) => head !== null);
}

/** What the catalog remembers, oldest first. */
export async function restoreRows(scenario: Scenario): Promise<Record<string, unknown>[]> {
  return await scenario.query(
    `SELECT segment, state, tier, days, requested_by, retrieval IS NOT NULL AS retrieving FROM firnline.restore ORDER BY id`,
  );
}

/** Segments of the `restored` entries that wait to be journaled. */
export async function restoredEntries(scenario: Scenario): Promise<string[][]> {
  const rows = await scenario.query(
    "SELECT event FROM firnline.outbox WHERE event ->> 'type' = 'restored' ORDER BY id",
  );
  return rows.map((row) => (row["event"] as unknown as { segments: string[] }).segments);
}
