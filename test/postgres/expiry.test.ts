/** Expiry: what is older than `cold.keep` goes, with evidence, and nothing else does; a crash anywhere is finished. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseDay } from "../../src/rows/day.ts";
import { listArchive } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { loseCatalog } from "../support/control-schema.ts";
import { expectNothingLost, expectSettled, readJournal } from "../support/oracle.ts";
import { Scenario, type ScenarioOptions } from "../support/scenario.ts";
import { expectVerified, verify } from "../support/verified.ts";

/** Hot 30 days, warm 60, then gone after 90. */
const TIERS = { cold: { storageClass: "DEEP_ARCHIVE", keep: "90d" } };
const FIRST = "2025-12-01";
const SECOND = "2025-12-02";
/** As of here the first day is 90 days past its end, and the second is not. */
const DUE = "2026-03-02";
const EXPIRED = { expired: `ts < '${SECOND} 00:00+00'` };

/** Two days, archived and cold; a third that is warm. */
async function archived(options: ScenarioOptions = {}): Promise<Scenario> {
  const scenario = await Scenario.create({
    tiers: TIERS,
    environ: { FIRNLINE_SEGMENT_MIB: "1024" },
    ...options,
  });
  await scenario.insert(auditRows(FIRST, 1001, 120));
  await scenario.insert(auditRows(SECOND, 2001, 60));
  await scenario.insert(auditRows("2026-01-10", 3001, 60));
  await scenario.insert(auditRows("2026-02-20", 4001, 10));
  await scenario.run({ asOf: "2026-03-01" });
  return scenario;
}

async function states(scenario: Scenario): Promise<string[]> {
  const rows = await scenario.query(
    "SELECT day_from::text AS day, state FROM firnline.segment ORDER BY day_from, segment",
  );
  return rows.map(({ day, state }) => `${day} ${state}`);
}

const STATES_AFTER = [`${FIRST} expired`, `${SECOND} cold`, "2026-01-10 warm"];

async function place(scenario: Scenario, from: string, to = from): Promise<string> {
  await using pipeline = scenario.open();
  const days = { dayFrom: parseDay(from), dayTo: parseDay(to) };
  return (await pipeline.holds.place({ ...days, reason: "case 17", placedBy: "jane" })).hold.hold;
}

describe("a segment whose records are older than the policy keeps them", () => {
  test("goes, object and manifest, and the journal says what was removed", async () => {
    await using scenario = await archived();
    const before = await listArchive(scenario, "");
    await expectSettled(scenario, { asOf: "2026-03-01" });
    const summary = await scenario.run({ asOf: DUE });
    expect(summary).toMatchObject({ state: "done", expired: 120n, exported: 0n });
    expect(await states(scenario)).toEqual(STATES_AFTER);

    const events = (await readJournal(scenario)).map(({ event }) => event);
    const intent = events.find(({ type }) => type === "expire-intent");
    const expired = events.find(({ type }) => type === "expired");
    expect(intent).toMatchObject({ keepDays: 90 });
    expect(expired).toMatchObject({ segment: intent?.["segment"], rows: "120" });
    const objects = expired?.["objects"] as readonly { key: string }[] | undefined;
    const removed = (objects ?? []).map(({ key }) => join(scenario.archive, key));
    const after = await listArchive(scenario, "");
    expect(before.filter((path) => !after.includes(path) && !/\/\./.test(path)).sort()).toEqual(
      removed.sort(),
    );

    await expectNothingLost(scenario, EXPIRED);
    await expectSettled(scenario, { asOf: DUE });
    expect(await expectVerified(scenario)).toMatchObject({ expired: 1, segments: 2 });
  });

  test("is told in the answer's evidence, in status and in the history", async () => {
    await using scenario = await archived();
    await scenario.run({ asOf: DUE });
    const { result, out } = await scenario.retrieve({ from: "2025-11-01", to: "2026-02-28" });
    expect(result).toMatchObject({ rows: 130n, expired: 120n });
    const evidence = JSON.parse(await readFile(`${out}.evidence.json`, "utf8"));
    expect(evidence["expired"]).toEqual([
      { rule: "default", dayFrom: FIRST, dayTo: FIRST, segments: 1, rows: "120" },
    ]);
    const other = await scenario.retrieve({ from: SECOND, to: "2026-02-28" });
    expect(other.result.expired).toBe(0n);

    await using pipeline = scenario.open();
    const status = await pipeline.status({ historyDays: 1 });
    expect(status.totals.find(({ state }) => state === "expired")).toMatchObject({ segments: 1, rows: 120n });
    expect(status.history?.at(-1)).toMatchObject({ expired: 120n });
    expect(status.runs[0]?.summary).toMatchObject({ expired: "120" });
  });

  test("is gone for a rebuilt catalog and for collect too", async () => {
    await using scenario = await archived();
    await scenario.run({ asOf: DUE });
    await loseCatalog(scenario);
    {
      await using pipeline = scenario.open();
      await pipeline.rebuildCatalog();
    }
    expect(await states(scenario)).toEqual(STATES_AFTER);
    await expectVerified(scenario);
    await scenario.run({ asOf: "2026-03-01" });
    await expectNothingLost(scenario, EXPIRED);
    await using pipeline = scenario.open();
    expect((await pipeline.collect()).waiting.objects).toBe(0);
  });

  test.each(["expire.intended", "expire.deleted", "expire.journaled"])(
    "goes on after a crash at %s, and readers never see it again",
    async (name) => {
      await using scenario = await archived();
      await scenario.failuresOf({ asOf: DUE, environ: { FIRNLINE_FAILPOINT: `${name}:error` } });
      await expectNothingLost(scenario, EXPIRED);
      expect((await verify(scenario, { deep: true })).findings).toEqual([]);
      expect((await scenario.run({ asOf: DUE })).state).toBe("done");
      expect(await states(scenario)).toEqual(STATES_AFTER);
      await expectNothingLost(scenario, EXPIRED);
      await expectSettled(scenario, { asOf: DUE });
      await expectVerified(scenario);
      const events = (await readJournal(scenario)).map(({ event }) => event.type);
      expect(events.filter((type) => type.startsWith("expire"))).toEqual(["expire-intent", "expired"]);
    },
  );

  // The second entry of that run is the intent: the archive has it, and the catalog does not know.
  test.each(["expire.intended:kill", "expire.deleted:kill", "journal.created:kill@2"])(
    "goes on after %s",
    async (failpoint) => {
      await using scenario = await archived();
      const killed = await scenario.spawnRun({ FIRNLINE_FAILPOINT: failpoint }, DUE).ended;
      expect(killed).toMatchObject({ signal: "SIGKILL" });
      expect((await scenario.run({ asOf: DUE })).state).toBe("done");
      expect(await states(scenario)).toEqual(STATES_AFTER);
      await expectNothingLost(scenario, EXPIRED);
      await expectVerified(scenario);
    },
  );

  test("is not resurrected by a rebuild after its intent", async () => {
    await using scenario = await archived();
    await scenario.failuresOf({ asOf: DUE, environ: { FIRNLINE_FAILPOINT: "expire.intended:error" } });
    await loseCatalog(scenario);
    {
      await using pipeline = scenario.open();
      await pipeline.rebuildCatalog();
    }
    expect(await states(scenario)).toEqual([`${FIRST} expiring`, `${SECOND} cold`, "2026-01-10 warm"]);
    await scenario.run({ asOf: DUE });
    expect(await states(scenario)).toEqual(STATES_AFTER);
  });
});

describe("what stays", () => {
  test("is what a hold has, with its reason in the plan, until it is released", async () => {
    await using scenario = await archived();
    const id = await place(scenario, "2025-11-01", FIRST);
    const plan = await scenario.plan({ asOf: DUE });
    expect(plan.steps).toEqual([]);
    expect(plan.held.map(({ reason }) => reason)).toEqual([
      `does not expire, by hold ${id.slice(0, 8)}: case 17`,
    ]);
    await expectSettled(scenario, { asOf: DUE });
    await expectNothingLost(scenario);
    const { out } = await scenario.retrieve({ from: FIRST, to: FIRST });
    expect(JSON.parse(await readFile(`${out}.evidence.json`, "utf8"))).toMatchObject({
      expired: [],
      holds: [{ hold: id, dayFrom: "2025-11-01", dayTo: FIRST, reason: "case 17" }],
    });
    {
      await using pipeline = scenario.open();
      await pipeline.holds.release({ hold: id.slice(0, 8), reason: "settled", releasedBy: "joe" });
    }
    expect((await scenario.run({ asOf: DUE })).expired).toBe(120n);
    expect((await readJournal(scenario)).map(({ event }) => event.type)).toEqual(
      expect.arrayContaining(["hold", "released", "expire-intent", "expired"]),
    );
    await expectVerified(scenario);
  });

  test("is what a rule kept that is gone from the policy", async () => {
    const rules = [{ name: "logins", when: "action = 'login'", hot: "30d" }];
    await using scenario = await archived({ rules });
    await using without = await Scenario.over(scenario, { rules: [] });
    const plan = await without.plan({ asOf: DUE });
    expect(plan.held.map(({ reason }) => reason)).toContain(
      "does not expire: rule logins is not in the policy any more, and it keeps its last retention",
    );
    expect((await without.run({ asOf: DUE })).expired).toBe(0n);
  });

  const PIN = `
    INSERT INTO firnline.retrieval (retrieval, pipeline, requested_by, range_from, range_to, filter, state)
    VALUES ('11111111-2222-4333-8444-555555555555', 'audit_logs', 'x', now(), now(), '[]', 'reading');
    INSERT INTO firnline.pin SELECT '11111111-2222-4333-8444-555555555555', pipeline, segment FROM firnline.segment
    WHERE day_from = '${FIRST}'`;

  test("after its intent too is what a reader pinned in time: nothing is removed under it", async () => {
    await using scenario = await archived();
    await scenario.failuresOf({ asOf: DUE, environ: { FIRNLINE_FAILPOINT: "expire.intended:error" } });
    const before = await listArchive(scenario, ".parquet");
    await scenario.query(PIN);
    const { expired, plan } = await scenario.run({ asOf: DUE });
    expect(expired).toBe(0n);
    expect(plan.held.map(({ reason }) => reason)).toEqual(["does not expire yet: a retrieval reads it"]);
    expect(await listArchive(scenario, ".parquet")).toEqual(before);
    await scenario.query("DELETE FROM firnline.pin");
    expect((await scenario.run({ asOf: DUE })).expired).toBe(120n);
  });

  test("is what a retrieval reads, until it has read it", async () => {
    await using scenario = await archived();
    await scenario.query(PIN);
    const [held] = (await scenario.plan({ asOf: DUE })).held;
    expect(held?.reason).toBe("does not expire yet: a retrieval reads it");
    expect((await scenario.run({ asOf: DUE })).expired).toBe(0n);
    await scenario.query("DELETE FROM firnline.pin");
    expect((await scenario.run({ asOf: DUE })).expired).toBe(120n);
  });

  test("is what a retrieval may be about to read, which has begun and has no snapshot yet", async () => {
    await using scenario = await archived();
    const retrieval = (from: string, to: string): string => `
      INSERT INTO firnline.retrieval (retrieval, pipeline, requested_by, range_from, range_to, filter, state)
      VALUES (gen_random_uuid(), 'audit_logs', 'x', '${from} 00:00+00', '${to} 00:00+00', '[]', 'restoring')`;
    await scenario.query(retrieval("2025-11-01", FIRST) + ";" + retrieval(SECOND, "2026-01-01"));
    expect((await scenario.plan({ asOf: DUE })).steps.map(({ stages }) => stages)).toContainEqual(["expire"]);
    await scenario.failuresOf({ asOf: DUE, environ: { FIRNLINE_FAILPOINT: "expire.intended:error" } });
    const before = await listArchive(scenario, ".parquet");
    await scenario.query(retrieval(FIRST, SECOND));
    expect((await scenario.run({ asOf: DUE })).expired).toBe(0n);
    expect(await listArchive(scenario, ".parquet")).toEqual(before);
    await scenario.query("UPDATE firnline.retrieval SET state = 'done'");
    expect((await scenario.run({ asOf: DUE })).expired).toBe(120n);
  });

  test("is not even intended while such a retrieval has begun", async () => {
    await using scenario = await archived();
    await scenario.query(
      PIN.replace("'reading'", "'restoring'").replace("now(), now()", `'${FIRST}', '${SECOND}'`),
    );
    await scenario.query("DELETE FROM firnline.pin");
    expect((await scenario.run({ asOf: DUE })).expired).toBe(0n);
    expect(await states(scenario)).toContain(`${FIRST} cold`);
  });

  test("is what came late, for the recovery window: archived, and gone two weeks later", async () => {
    await using scenario = await archived();
    await scenario.run({ asOf: DUE });
    await scenario.insert(auditRows(FIRST, 9001, 5));
    const plan = await scenario.plan({ asOf: DUE });
    expect(plan.steps.map(({ stages, reason }) => [stages.join(" "), reason])).toEqual([
      [
        "export seal prune",
        "5 rows came in after the day was pruned; older than cold keeps (90 days), so it expires 14 days after it is archived",
      ],
    ]);
    expect(await scenario.run({ asOf: DUE })).toMatchObject({ state: "done", exported: 5n, expired: 0n });
    await expectNothingLost(scenario, { expired: `ts < '${SECOND} 00:00+00' AND id < 9000` });
    const after = await scenario.plan({ asOf: "2026-03-03" });
    expect(after.held.find(({ rows }) => rows === 5n)?.reason).toBe(
      "came late: it was archived on 2026-03-02, when it should have expired already; expires on 2026-03-16",
    );
    expect((await scenario.run({ asOf: "2026-03-16" })).expired).toBe(65n);
    await expectNothingLost(scenario, { expired: "ts < '2025-12-03 00:00+00'" });
  });
});

describe("a shorter policy", () => {
  test("needs --confirm-sooner before it lets anything expire", async () => {
    await using scenario = await archived({ tiers: {} });
    await using shorter = await Scenario.over(scenario, { tiers: TIERS });
    expect((await shorter.plan({ asOf: DUE })).blockers.map(({ problem }) => problem)).toEqual([
      "archived rows expire after 90d (forever before)",
    ]);
    const [refusal] = await shorter.failuresOf({ asOf: DUE });
    expect(String(refusal)).toContain("--confirm-sooner");
    expect(await states(scenario)).toEqual([`${FIRST} cold`, `${SECOND} cold`, "2026-01-10 warm"]);
    expect((await shorter.run({ asOf: DUE, confirmSooner: true })).expired).toBe(120n);
    expect((await shorter.run({ asOf: "2026-03-03" })).expired).toBe(60n);
  });
});
