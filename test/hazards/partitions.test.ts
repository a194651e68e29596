/**
 * Hazards 7, 11, 17 and 26: native partitions in all forms, on their way out and in somebody else's hands. The shapes are
 * those of `partitions-drop.test.ts`, which has them on 18 and compares them with deletion row by row.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { EmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { connect } from "../postgres/connect.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { days, fillShape, leavesOf, PARENT, SHAPES, tablesOf } from "../support/partitioned-logs.ts";
import { createDatabase } from "../support/postgres.ts";
import { startMajor } from "../support/postgres-majors.ts";
import { Scenario } from "../support/scenario.ts";
import { leaveHalfDetached } from "./half-detached.ts";
import { onBoth } from "./on-both.ts";

const TENTH = "day_2026_01_10";

describe("partitions on PostgreSQL 15", () => {
  let server: EmbeddedPostgres;
  beforeAll(async () => void (server = await startMajor(15)));
  afterAll(async () => await server?.stop());

  // Days and sub-partitions move in `majors.test.ts`, on 15 to 17.
  const others = SHAPES.filter(({ what }) => what !== "days" && what !== "sub-partitions");
  test.each(others)(
    "move whole wherever they can: $what (17)",
    async ({ what: _, leavesLeft, ...options }) => {
      await using scenario = await Scenario.on(await createDatabase(server.url()), options);
      await scenario.prepare();
      await fillShape(scenario);
      expect(await scenario.run()).toMatchObject({ state: "done", failures: [], drift: [], exported: 190n });
      expect(await leavesOf(scenario)).toEqual(leavesLeft);
      await expectNothingLost(scenario);
      await expectSettled(scenario);
    },
  );
});

onBoth("a partition", (server) => {
  let template: Scenario;
  beforeAll(async () => {
    template = await server.create({
      ddl: `${PARENT}${days("2026-01-10", 2)}${days("2026-02-20", 1)}`,
    });
    await template.insert(auditRows("2026-01-10", 1001, 130));
    await template.insert(auditRows("2026-01-11", 2001, 60));
    await template.insert(auditRows("2026-02-20", 3001, 10));
  });
  afterAll(async () => await template?.[Symbol.asyncDispose]());

  test.each(server.sample(["drop.detached", "drop.listed", "drop.judged"]))(
    "whose run ends at %s is part of every answer, and the next run finishes it (26)",
    async (failpoint) => {
      await using scenario = await template.copy();
      const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: `${failpoint}:error` } });
      await expect(failing).rejects.toThrow(`failpoint ${failpoint}`);
      await scenario.insert("VALUES (4000, '2026-01-11 12:00+00'::timestamptz)");
      await expectNothingLost(scenario);
      expect((await scenario.run()).state).toBe("done");
      expect(await tablesOf(scenario)).toEqual(["day_2026_02_20"]);
      await expectNothingLost(scenario);
      await expectSettled(scenario);
    },
  );

  test("that a killed run left half detached is finished by the next one (26)", async () => {
    await using scenario = await template.copy();
    // The detach waits for whoever still sees the partition; the run is killed while it does.
    await using reader = await connect(scenario.url);
    await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM public.audit_logs");
    await using run = scenario.spawnRun();
    const pending = "SELECT FROM pg_inherits WHERE inhdetachpending";
    await vi.waitUntil(async () => (await scenario.query(pending)).length === 1, { timeout: 60_000 });
    run.signal("SIGKILL");
    await run.ended;
    await expectNothingLost(scenario);
    await reader.query("COMMIT");
    await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = '-infinity'");
    expect((await scenario.run()).state).toBe("done");
    expect(await tablesOf(scenario)).toEqual(["day_2026_02_20"]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("that another session left half detached is named, with the statement that ends it (26)", async () => {
    await using scenario = await template.copy();
    await leaveHalfDetached(scenario, `public.${TENTH}`);
    await using pipeline = scenario.open();
    const [finding] = (await pipeline.doctor()).findings;
    expect(finding).toMatchObject({ code: "E_DETACH", fix: [expect.stringMatching(/ FINALIZE;$/)] });
    await expect(scenario.run()).rejects.toMatchObject({ errors: [{ code: "E_DETACH" }] });
    await scenario.query(finding?.fix[0] as string);
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 60n });
    expect(await tablesOf(scenario)).toEqual([TENTH, "day_2026_02_20"]);
  });

  test("beside a DEFAULT partition goes in the plain way, and what the DEFAULT holds goes by rows (17, 26)", async () => {
    await using scenario = await template.copy();
    await scenario.query("CREATE TABLE public.rest PARTITION OF public.audit_logs DEFAULT");
    await scenario.insert(auditRows("2026-01-12", 6001, 60));
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], exported: 250n, pruned: 250n });
    expect(await leavesOf(scenario)).toEqual(["day_2026_02_20", "rest"]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("that a person drops under an open retrieval is waited for, or the answer is refused: never half of it (7)", async () => {
    await using scenario = await template.copy();
    expect((await scenario.run({ asOf: "2026-02-10" })).state).toBe("done");
    expect(await leavesOf(scenario)).not.toContain(TENTH);
    await using person = await connect(scenario.url);
    await person.query("BEGIN; DROP TABLE public.day_2026_01_11");
    await expect(scenario.retrieve({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "100" } })).rejects.toThrow(
      /lock timeout/,
    );
    await person.query("ROLLBACK");
    // By the time that the lock is there, the catalog is read: what was dropped is in the archive.
    await scenario.insert(auditRows("2026-02-20", 7001, 5));
    await person.query("BEGIN; LOCK TABLE public.audit_logs IN ACCESS EXCLUSIVE MODE");
    const retrieved = scenario.retrieve({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "20000" } });
    await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 60_000 });
    await person.query(
      "INSERT INTO public.audit_logs VALUES (9000, '2026-02-20 23:00+00', 'x'); INSERT INTO truth.rows VALUES (9000, '2026-02-20 23:00+00', 'x'); COMMIT",
    );
    expect((await retrieved).lines).toHaveLength(206);
    await expectNothingLost(scenario);
  });

  test("of which an index misses a row is not dropped: rows are counted without it (11)", async () => {
    await using scenario = await server.create({
      ddl: `${PARENT}${days("2026-01-10", 1)} CREATE INDEX ON public.audit_logs (ts)`,
    });
    // While an index is marked as not ready, no entry is made: what corruption leaves behind.
    const indexes = (ready: boolean): string =>
      `UPDATE pg_index SET indisready = ${ready} WHERE indrelid = 'public.${TENTH}'::regclass`;
    await scenario.insert(auditRows("2026-01-10", 1001, 400));
    await scenario.query(`ANALYZE public.audit_logs`);
    await scenario.query(indexes(false));
    await scenario.insert(auditRows("2026-01-10", 9001, 1));
    await scenario.query(indexes(true));
    for (const setting of ["enable_seqscan = off", "seq_page_cost = 1e9", "cpu_tuple_cost = 1e6"])
      await scenario.query(`ALTER DATABASE ${scenario.database} SET ${setting}`);
    const { failures } = await scenario.run();
    expect(failures).toMatchObject([
      { code: "E_DETACH", problem: expect.stringContaining("401 rows found, 400 exported") },
    ]);
    expect(await leavesOf(scenario)).toEqual([TENTH]);
    await scenario.query(`REINDEX TABLE public.${TENTH}`);
    expect((await scenario.run()).state).toBe("done");
    expect(await leavesOf(scenario)).toEqual([]);
    await expectNothingLost(scenario);
  });
});
