/** What changes under a run that takes hours, and what keeps a run from taking for ever. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

const ROWS = 120;
let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create();
  await template.insert(auditRows("2026-01-10", 1, ROWS));
});

afterAll(async () => await template[Symbol.asyncDispose]());

describe("a deploy in the middle of a run", () => {
  test.concurrent.each([
    [
      "a cascade (hazard 10)",
      `CREATE TABLE child (id bigint PRIMARY KEY REFERENCES audit_logs ON DELETE CASCADE);
       INSERT INTO child SELECT id FROM audit_logs`,
    ],
    [
      "a trigger on DELETE (hazard 20)",
      `CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
       CREATE TRIGGER gone BEFORE DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION log_it()`,
    ],
    ["a publication of deletes (hazard 20)", "CREATE PUBLICATION changes FOR TABLE audit_logs"],
  ])("that adds %s: nothing is deleted", async (_what, sql) => {
    await using scenario = await template.copy();
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.started:pause" });
    await run.stopped();
    await scenario.query(sql);
    run.resume();
    const { code, stderr } = await run.ended;
    expect({ code, stderr }).toEqual({
      code: 12,
      stderr: expect.stringMatching(/^E_SIDE_EFFECT public\.audit_logs/),
    });
    expect(await scenario.count()).toBe(ROWS);
  });
});

describe("the order of decisions", () => {
  test.concurrent("may differ from the order of their commits: the journal goes on", async () => {
    await using scenario = await template.copy();
    // A retrieval takes an id of the outbox and commits after a run has died between the archive and the catalog.
    const id = "nextval(pg_get_serial_sequence('firnline.outbox', 'id'))";
    await scenario.query(`CREATE TABLE early AS SELECT ${id} AS id`);
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "journal.created:kill@3" });
    expect((await run.ended).signal).toBe("SIGKILL");
    const event = {
      type: "retrieved",
      retrieval: randomUUID(),
      requestedBy: "a test",
      from: "2026-01-01T00:00:00.000000Z",
      to: "2026-01-02T00:00:00.000000Z",
      where: [],
      rows: "0",
      sha256: "0".repeat(64),
    };
    await scenario.query(
      `INSERT INTO firnline.outbox (id, pipeline, run, epoch, at, event) OVERRIDING SYSTEM VALUE
       SELECT id, 'audit_logs', 'retrieval', 1, '2026-01-01T00:00:00.000Z', $1 FROM early`,
      [JSON.stringify(event)],
    );
    await scenario.run();
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });
});

describe("one partition that cannot go", () => {
  test.concurrent("does not keep the others: a row that another table refers to", async () => {
    await using scenario = await template.copy();
    await scenario.insert(auditRows("2026-01-11", 5001, 40));
    await scenario.query(
      `CREATE TABLE child (id bigint PRIMARY KEY REFERENCES audit_logs); INSERT INTO child VALUES (1)`,
    );
    const summary = await scenario.run();
    expect(summary.state).toBe("partly");
    expect(summary.failures.map(({ message }) => message)).toEqual([expect.stringContaining("child")]);
    expect(await scenario.count("id > 5000")).toBe(0);
    await scenario.query("TRUNCATE child");
    await scenario.run();
    expect(await scenario.count()).toBe(0);
    await expectNothingLost(scenario);
  });

  test.concurrent("a row larger than any chunk goes all the same", async () => {
    await using scenario = await template.copy();
    await scenario.insert(
      "SELECT 9001, '2026-01-12'::timestamptz, 'large', repeat('0123456789', 9000000), '{}'::jsonb",
    );
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: ROWS + 1, pruned: ROWS + 1 });
  });
});

describe("a role that may only SELECT and DELETE", () => {
  test("can apply a delete-only rule", async () => {
    const rules = [{ name: "noise", when: "action = 'noise'", archive: false }];
    await using scenario = await Scenario.create({ rules });
    await scenario.insert(auditRows("2026-01-10", 1, 30, "'noise'"));
    const role = `mover_${randomUUID().slice(0, 8)}`;
    await scenario.query(`CREATE ROLE ${role} LOGIN PASSWORD 'pw'; GRANT SELECT, DELETE ON audit_logs TO ${role};
      GRANT USAGE ON SCHEMA firnline TO ${role}; GRANT ALL ON ALL TABLES IN SCHEMA firnline TO ${role};
      GRANT ALL ON ALL SEQUENCES IN SCHEMA firnline TO ${role}`);
    const url = new URL(scenario.url);
    url.username = role;
    url.password = "pw";
    try {
      expect(moved(await scenario.run({ url: url.href }))).toEqual({ ...NOTHING, deleted: 30 });
    } finally {
      await scenario.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});
