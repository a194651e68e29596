/**
 * Hazards 1, 2, 15, 17b, 17c, 21, 25 and 29: rows that come, change and go while others are moved; a COMMIT whose reply is
 * lost; a pooler in between. On the newest and the oldest server; more of each is in the suites on 18 alone.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../postgres/connect.ts";
import { auditRows } from "../support/audit-rows.ts";
import { keepChanging } from "../support/busy-application.ts";
import { expectNothingLost, expectRetrievalComplete, expectSettled, readJournal } from "../support/oracle.ts";
import { days, leavesOf, PARENT } from "../support/partitioned-logs.ts";
import { moved, NOTHING, type Scenario } from "../support/scenario.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { startTransactionPooler } from "../support/transaction-pooler.ts";
import { onBoth } from "./on-both.ts";

const DAY = "2026-01-10";
const NEXT = "2026-01-11";
const LOGOUTS = { rules: [{ name: "logout", when: "action = 'logout'" }] };

onBoth("rows", (server) => {
  let template: Scenario;
  beforeAll(async () => {
    template = await server.create({ ...LOGOUTS, environ: { FIRNLINE_SEGMENT_MIB: "1024" } });
    await template.insert(auditRows(DAY, 1001, 160));
    await template.insert(auditRows(NEXT, 2001, 60));
    await template.insert(auditRows("2026-02-20", 5001, 10));
  });
  afterAll(async () => await template?.[Symbol.asyncDispose]());

  /** Its first day is sealed and not pruned. */
  async function sealed(): Promise<Scenario> {
    const scenario = await template.copy();
    const run = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
    await expect(run).rejects.toThrow("failpoint prune.started");
    return scenario;
  }

  test("that come into a pruned range, late, moved or prepared, are found at once and archived (1)", async () => {
    await using scenario = await template.copy();
    const run = scenario.run();
    await run;
    // Between two rows that are gone, at the very time of one of them, and before the first of the day.
    await scenario.insert(
      `VALUES (7, '${DAY} 00:00:00+00'::timestamptz, 'late', NULL, NULL::jsonb), (8, '${DAY} 01:30+00', 'late', NULL, NULL),
        (9, '${DAY} 23:59:59.999999+00', 'late', NULL, NULL)`,
    );
    await scenario.change((table) => `UPDATE ${table} SET ts = '${NEXT} 12:00+00' WHERE id = 5001`);
    await scenario.query(
      `BEGIN; INSERT INTO audit_logs VALUES (10, '${DAY} 02:00+00', 'prepared');
       INSERT INTO truth.rows VALUES (10, '${DAY} 02:00+00', 'prepared'); PREPARE TRANSACTION '${scenario.database}'`,
    );
    await expect(scenario.run({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "100" } })).rejects.toThrow(
      /^E_SERVER .*was left open/,
    );
    await scenario.query(`COMMIT PREPARED '${scenario.database}'`);
    await expectNothingLost(scenario);
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 5, pruned: 5 });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("whose deleting COMMIT loses its reply are deleted once, and no drift is seen (2)", async () => {
    await using scenario = await template.copy();
    const lost = new Set<unknown>();
    await using proxy = await startProxy(scenario.url, {
      onAsked(connection, piece) {
        if (lost.size === 0 && piece.includes("Q\0\0\0\x0bCOMMIT\0") && connection.asked("COPY (DELETE FROM"))
          lost.add(connection);
        return "pass";
      },
      onAnswer(connection) {
        if (!lost.has(connection)) return "pass";
        connection.reset();
        return "drop";
      },
    });
    const summary = await scenario.run({ url: proxy.url });
    expect(lost.size).toBe(1);
    expect({ ...moved(summary), drift: summary.drift }).toEqual({
      ...NOTHING,
      exported: 220,
      pruned: 220,
      drift: [],
    });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("whose key is used again after they were pruned both come out, and the same row once (15)", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    const at = (id: number): string => `(SELECT ts FROM truth.rows WHERE id = ${id})`;
    await scenario.query("INSERT INTO audit_logs SELECT * FROM truth.rows WHERE id = 1002");
    await scenario.insert(`SELECT 1003, ${at(1003)}, 'used again at its time'`);
    await scenario.insert(`VALUES (1004, '2026-02-14 00:00+00'::timestamptz, 'used again later')`);
    const { result, lines } = await scenario.retrieve();
    expect(result).toMatchObject({ rows: 232n, collapsed: 1n, conflicting: 2n });
    const found = [1002, 1003, 1004].map(
      (id) => lines.filter((line) => line.startsWith(`{"id":${id},`)).length,
    );
    expect(found).toEqual([1, 2, 2]);
  });

  test("that are changed, moved or erased in the middle of a sealed segment are no tombstones but the erased (17b, 17c, 21)", async () => {
    await using scenario = await sealed();
    await scenario.change(
      (table) => `DELETE FROM ${table} WHERE id = 1060;
        UPDATE ${table} SET message = 'changed' WHERE id = 1061;
        UPDATE ${table} SET ts = '${NEXT} 12:00:00.000001+00' WHERE id = 1062;
        UPDATE ${table} SET action = 'logout' WHERE id = 1063;
        UPDATE ${table} SET ts = '2026-02-25 12:00+00' WHERE id = 1064;
        UPDATE ${table} SET id = 90001 WHERE id = 1065`,
    );
    expect((await scenario.run()).state).toBe("done");
    const tombstones = (await readJournal(scenario)).filter(({ event }) => event.type === "tombstoned");
    // The key 1065 is gone for good; the row has another one now. All others have moved, and not died.
    expect(tombstones.flatMap(({ event }) => event["keys"])).toEqual([["1060"], ["1065"]]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    const { lines } = await scenario.retrieve();
    expect(lines.filter((line) => line.startsWith('{"id":1060,'))).toEqual([]);
  });

  test("that change for ever are given up after three attempts, said each night, and tried again when asked (25)", async () => {
    await using scenario = await sealed();
    await scenario.query("UPDATE audit_logs SET message = 'changed' WHERE id = 1070");
    await keepChanging(scenario, 1070, 3);
    const summary = await scenario.run();
    expect(summary).toMatchObject({
      state: "partly",
      drift: [{ day: DAY, reason: expect.stringContaining("message changed") }],
    });
    await scenario.query("UPDATE truth.rows t SET message = a.message FROM audit_logs a WHERE a.id = t.id");
    await expectNothingLost(scenario);
    const again = await scenario.run();
    expect({ ...moved(again), state: again.state }).toEqual({ ...NOTHING, state: "partly" });
    await using pipeline = scenario.open();
    expect(await pipeline.run({ asOf: again.plan.asOf, retryQuarantined: true })).toMatchObject({
      state: "done",
      pruned: 50n,
    });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("move through a transaction pooler, whole leaves too: no session keeps anything (29)", async () => {
    await using scenario = await server.create({
      ...LOGOUTS,
      ddl: `${PARENT}${days(DAY, 2)}${days("2026-02-20", 1)}`,
    });
    await scenario.insert(auditRows(DAY, 1001, 160, "CASE WHEN n % 3 = 0 THEN 'logout' ELSE 'login' END"));
    await scenario.insert(auditRows("2026-02-20", 5001, 10));
    await using pooler = await startTransactionPooler(scenario.url);
    await using person = await connect(pooler.url);
    await person.query("SET application_name = 'kept'");
    expect((await person.query("SHOW application_name")).rows).not.toEqual([{ application_name: "kept" }]);
    expect(await scenario.run({ url: pooler.url })).toMatchObject({
      state: "done",
      failures: [],
      pruned: 160n,
    });
    expect(pooler.transactions()).toBeGreaterThan(30);
    expect(await leavesOf(scenario)).toEqual(["day_2026_02_20"]);
    await using pipeline = scenario.open({ url: pooler.url });
    expect((await pipeline.doctor()).findings).toEqual([]);
    await expectNothingLost(scenario);
    await expectSettled(scenario, { url: pooler.url });
    await expectRetrievalComplete(scenario);
  });
});
