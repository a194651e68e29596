/** Fault line 9 and hazard 24: a retrieval that is killed, and one that a run moves rows under. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { isFirnlineError } from "../../src/errors.ts";
import { createBusyDays } from "../support/busy-days.ts";
import type { Ending } from "../support/firnline-process.ts";
import { killWriter, partialBytes } from "../support/growing-answer.ts";
import { expectNothingLost, expectRetrievalComplete } from "../support/oracle.ts";
import { moved, Scenario } from "../support/scenario.ts";

describe("a retrieval that is killed", () => {
  async function killedWaiting(scenario: Scenario, args: readonly string[]): Promise<Ending> {
    await using retrieval = scenario.spawn(args, { FIRNLINE_FILE_RESTORE_DELAY_MS: "600000" });
    await vi.waitUntil(async () => (await partialBytes(scenario)) !== null, { timeout: 60_000 });
    retrieval.signal("SIGKILL");
    return await retrieval.ended;
  }

  async function killedWriting(scenario: Scenario, args: readonly string[]): Promise<Ending> {
    await using retrieval = scenario.spawn(args);
    return await killWriter(scenario, retrieval);
  }

  test.each([
    ["while it waits for a restore", killedWaiting],
    ["while it writes", killedWriting],
  ])("%s leaves no file under the final name (fault 9)", async (_when, killed) => {
    await using scenario = await createBusyDays();
    await scenario.run();
    // Enough to write for a while: 20 MB.
    await scenario.insert(
      `SELECT 100000 + n, '2026-02-21 00:00+00'::timestamptz + n * interval '1 millisecond', 'x', repeat(md5(n::text), 32)
       FROM generate_series(1, 20000) n`,
    );
    const out = join(scenario.folder, "answer.ndjson");
    const args = ["retrieve", "audit-logs", "--from", "2025-12-01", "--to", "2026-02-28", "--out", out];
    expect(await killed(scenario, args)).toMatchObject({ signal: "SIGKILL" });
    const names = await scenario.answers();
    expect(names.filter((name) => !name.endsWith(".partial"))).toEqual([]);

    // Nothing of it is in the way of anybody.
    const again = await scenario.spawn(args).ended;
    expect(again).toMatchObject({ code: 0 });
    expect((await readFile(out, "utf8")).trimEnd().split("\n")).toHaveLength(20_500);
    expect(moved(await scenario.run()).pruned).toBe(0);
  });
});

describe("a run during a retrieval", () => {
  /** Retrieves everything, over and over, until the run is over; each answer must be the truth. */
  async function retrieveDuring(
    scenario: Scenario,
    run: Promise<unknown>,
  ): Promise<{ answers: number; refused: string[] }> {
    let isOver = false;
    void run.finally(() => (isOver = true));
    const refused: string[] = [];
    let answers = 0;
    while (!isOver) {
      try {
        await expectRetrievalComplete(scenario);
        answers += 1;
      } catch (error) {
        if (!isFirnlineError(error)) throw error;
        refused.push(error.code);
      }
    }
    return { answers, refused };
  }

  const select = (day: string, id: number): string =>
    `SELECT ${id} + n, '${day} 00:00+00'::timestamptz + n * interval '9 minutes', 'x' FROM generate_series(0, 149) n`;
  const environ = { FIRNLINE_CHUNK_ROWS: "10", FIRNLINE_ROW_GROUP_ROWS: "30", FIRNLINE_PRUNE_CHUNKS: "1" };

  test("moves every row under it, and every answer has each row once", async () => {
    await using scenario = await Scenario.create({ environ, tiers: { warm: { keep: "3650d" } } });
    for (let day = 5; day <= 8; day += 1)
      await scenario.insert(select(`2026-01-${String(day).padStart(2, "0")}`, day * 1000));
    // A first run, so that the pipeline is known.
    await scenario.run({ asOf: "2026-02-06" });
    const run = scenario.spawnRun().ended;
    const { answers, refused } = await retrieveDuring(scenario, run);
    expect(await run).toMatchObject({ code: 0 });
    expect(refused).toEqual([]);
    expect(answers).toBeGreaterThan(0);
    await expectNothingLost(scenario);
  });

  test("may take objects to a cold class under it: then it is complete, or refused", async () => {
    await using scenario = await Scenario.create({ environ });
    for (let day = 5; day <= 8; day += 1)
      await scenario.insert(select(`2025-12-${String(day).padStart(2, "0")}`, day * 1000));
    await scenario.run({ asOf: "2026-01-20" });
    const run = scenario.spawnRun().ended;
    const { answers, refused } = await retrieveDuring(scenario, run);
    expect(await run).toMatchObject({ code: 0 });
    expect(new Set(refused).difference(new Set(["E_COLD"]))).toEqual(new Set());
    expect(answers).toBeGreaterThan(0);
    await expectNothingLost(scenario);
  });
});
