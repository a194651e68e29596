/** Fault matrix, lines 17 and 39: Postgres itself is killed under a run, or holds a prepared transaction. */
import { describe, expect, test } from "vitest";
import { startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { at, moved, NOTHING, Scenario } from "../support/scenario.ts";

describe("a server that is killed", () => {
  test("in the middle of a deleting transaction, or right after it, loses and doubles nothing", async () => {
    await using server = await startEmbeddedPostgres({ durable: true });
    await using scenario = await Scenario.on({
      url: at(server.url(), "postgres"),
      name: "postgres",
      [Symbol.asyncDispose]: async () => {},
    });
    await scenario.prepare();
    for (const [round, failpoint] of ["prune.deleted:pause@2", "prune.committed:pause@2"].entries()) {
      await scenario.insert(auditRows("2026-01-10", 1 + round * 1000, 130));
      await scenario.insert(auditRows("2026-01-11", 501 + round * 1000, 60));
      await scenario.disconnect();
      await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: failpoint });
      await run.stopped();
      await server.kill("SIGKILL");
      await server.restart();
      run.resume();
      const { code, signal } = await run.ended;
      expect({ code: [0, 1, 3].includes(code as number), signal }).toEqual({ code: true, signal: null });
      await expectNothingLost(scenario);
      await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = '-infinity'");
      expect((await scenario.run()).state).toBe("done");
      expect(await scenario.count()).toBe(0);
      await expectNothingLost(scenario);
      await expectSettled(scenario);
    }
  });
});

describe("a prepared transaction", () => {
  const prepare = async (scenario: Scenario): Promise<void> => {
    await scenario.query(
      `BEGIN; INSERT INTO public.audit_logs VALUES (1000, '2026-01-10 12:00+00', 'prepared');
       INSERT INTO truth.rows VALUES (1000, '2026-01-10 12:00+00', 'prepared'); PREPARE TRANSACTION '${scenario.database}'`,
    );
  };

  test("that inserts into a day which is pruned meanwhile is seen once it is committed", async () => {
    await using scenario = await Scenario.create();
    await scenario.insert(auditRows("2026-01-10", 1, 60));
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "seal.read:pause" });
    await run.stopped();
    await prepare(scenario);
    run.resume();
    expect(await run.ended).toMatchObject({ code: 0 });
    expect(await scenario.count()).toBe(0);
    await scenario.query(`COMMIT PREPARED '${scenario.database}'`);
    await expectNothingLost(scenario);
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 1, pruned: 1 });
    await expectNothingLost(scenario);
  });

  test("that nobody ends stops a run before it writes anything", async () => {
    await using scenario = await Scenario.create();
    await scenario.insert(auditRows("2026-01-10", 1, 60));
    await prepare(scenario);
    try {
      await expect(scenario.run()).rejects.toThrow(
        /^E_SERVER public\.audit_logs: prepared transaction '\w+' of /,
      );
      expect(await scenario.count()).toBe(60);
      expect(await scenario.count("true", "firnline.pipeline")).toBe(0);
    } finally {
      await scenario.query(`ROLLBACK PREPARED '${scenario.database}'`);
    }
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 60, pruned: 60 });
  });
});
