/** Which rows go with their leaf and which before it: rules, modes, keys, zones and grants. */
import { describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readArchive, readTiers } from "../support/oracle.ts";
import { days, fillShape, leaf, leavesOf, PARENT, SHAPES, tablesOf } from "../support/partitioned-logs.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

const JANUARY =
  leaf("public.january", "2026-01-01", "2026-02-01") + leaf("public.february", "2026-02-01", "2026-03-01");

describe("rules with windows of their own", () => {
  const rules = [
    { name: "short", when: "action = 'short'", hot: "10d" },
    { name: "denied", when: "action = 'denied'", hot: "20d", archive: false },
  ];

  test("shorter ones go by rows, delete-only ones are deleted, the longest waits for its leaf", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + JANUARY, rules });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    await scenario.insert(auditRows("2026-01-10", 2001, 60, "'short'"));
    await scenario.insert(auditRows("2026-01-10", 3001, 60, "'denied'"));
    const deletable = "action = 'denied'";
    // 10 days after: only the short rule is due.
    expect(moved(await scenario.run({ asOf: "2026-01-21" }))).toEqual({
      ...NOTHING,
      exported: 60,
      pruned: 60,
    });
    expect(moved(await scenario.run({ asOf: "2026-02-10" }))).toEqual({
      ...NOTHING,
      exported: 60,
      deleted: 60,
    });
    expect(await scenario.count()).toBe(60);
    await expectNothingLost(scenario, { deletable });
    await expectSettled(scenario, { asOf: "2026-02-10" });
    const last = await scenario.run({ asOf: "2026-03-03" });
    expect(moved(last)).toEqual({ ...NOTHING, pruned: 60 });
    expect(await leavesOf(scenario)).toEqual(["february"]);
    await expectNothingLost(scenario, { deletable });
    await expectSettled(scenario, { asOf: "2026-03-03" });
  });

  test("all of them at once, when the whole leaf is due", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + JANUARY, rules });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    await scenario.insert(auditRows("2026-01-10", 2001, 60, "'short'"));
    await scenario.insert(auditRows("2026-01-10", 3001, 60, "'denied'"));
    const run = await scenario.run({ asOf: "2026-03-03" });
    expect(moved(run)).toEqual({ ...NOTHING, exported: 120, pruned: 120, deleted: 60 });
    expect(await leavesOf(scenario)).toEqual(["february"]);
    await expectNothingLost(scenario, { deletable: "action = 'denied'" });
    await expectSettled(scenario, { asOf: "2026-03-03" });
  });

  test("a leaf that was emptied row by row is dropped once all of it is due", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + JANUARY, rules });
    await scenario.insert(auditRows("2026-01-10", 2001, 60, "'short'"));
    await scenario.insert(auditRows("2026-01-10", 3001, 60, "'denied'"));
    const emptied = await scenario.run({ asOf: "2026-02-21" });
    expect(moved(emptied)).toEqual({ ...NOTHING, exported: 60, pruned: 60, deleted: 60 });
    expect(await leavesOf(scenario)).toEqual(["february", "january"]);
    await expectSettled(scenario, { asOf: "2026-03-02" });
    const plan = await scenario.plan({ asOf: "2026-03-03" });
    expect(plan.steps.map(({ stages, reason }) => [stages.join(), reason])).toEqual([
      ["drop", "nothing is left in public.january, and all of it is due"],
    ]);
    expect((await scenario.run({ asOf: "2026-03-03" })).state).toBe("done");
    expect(await leavesOf(scenario)).toEqual(["february"]);
    await expectSettled(scenario, { asOf: "2026-03-03" });
  });

  test("a delete-only rule that keeps its rows longest leaves the others to go by rows", async () => {
    const long = [{ name: "denied", when: "action = 'denied'", hot: "60d", archive: false }];
    await using scenario = await Scenario.create({ ddl: PARENT + days("2026-01-10", 1), rules: long });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    await scenario.insert(auditRows("2026-01-10", 3001, 60, "'denied'"));
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 60, pruned: 60 });
    expect(await leavesOf(scenario)).toEqual(["day_2026_01_10"]);
    expect(moved(await scenario.run({ asOf: "2026-03-12" }))).toMatchObject({ deleted: 60 });
    expect(await leavesOf(scenario)).toEqual([]);
    await expectNothingLost(scenario, { deletable: "action = 'denied'" });
  });

  test("an empty leaf goes on the day that its rows would have", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + days("2026-01-29", 2) });
    expect((await scenario.run()).state).toBe("done");
    expect(await leavesOf(scenario)).toEqual(["day_2026_01_30"]);
    await expectSettled(scenario);
  });
});

describe("rules that change while rows wait", () => {
  test.each([
    ["is removed", []],
    ["reads otherwise", [{ name: "vip", when: "action = 'vip' OR id % 2 = 0", hot: "30d" }]],
  ])("a rule that %s: its rows are exported anew, and all of them are found", async (_, after) => {
    const rules = [{ name: "vip", when: "action = 'vip'", hot: "30d" }];
    await using scenario = await Scenario.create({ ddl: PARENT + JANUARY, rules });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    await scenario.insert(auditRows("2026-01-10", 2001, 60, "'vip'"));
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 120 });
    await using other = await Scenario.over(scenario, { rules: after });
    const run = await other.run({ asOf: "2026-03-03", confirmSooner: true });
    expect(run).toMatchObject({ state: "done", failures: [], drift: [], pruned: 120n });
    expect(await leavesOf(scenario)).toEqual(["february"]);
    await expectNothingLost(other);
    await expectSettled(other, { asOf: "2026-03-03" });
  });
});

describe("prune", () => {
  test("auto goes back to rows where a leaf cannot be dropped, and says why", async () => {
    const [shape] = SHAPES.filter(({ what }) => what === "hashes");
    await using scenario = await Scenario.create({ ...shape });
    await fillShape(scenario);
    const { steps } = await scenario.plan();
    expect(steps[0]).toMatchObject({
      stages: ["export", "seal", "prune"],
      reason:
        "the day ended 49 days ago, hot keeps 30 days; row by row, as its leaf cannot be dropped: " +
        "its bounds do not say which days it holds",
    });
  });

  test("partitions holds the rows of such a leaf, with the reason, and archives nothing of it", async () => {
    await using scenario = await Scenario.create({
      ddl: `${PARENT}${days("2026-01-10", 1)}
        CREATE TABLE public.rest PARTITION OF public.audit_logs DEFAULT;`,
      prune: "partitions",
    });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    await scenario.insert(auditRows("2026-01-11", 2001, 60));
    const run = await scenario.run();
    expect(moved(run)).toEqual({ ...NOTHING, exported: 60, pruned: 60 });
    expect(run.plan.held.map(({ leaf: where, reason }) => [where?.name, reason])).toEqual([
      [
        "rest",
        "its leaf public.rest cannot be dropped (its bounds do not say which days it holds), and prune: partitions deletes no rows",
      ],
    ]);
    expect(await leavesOf(scenario)).toEqual(["rest"]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("rows leaves every leaf in place, and so does off", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + days("2026-01-10", 2), prune: "off" });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 60 });
    await using rows = await Scenario.over(scenario, { prune: "rows" });
    expect(moved(await rows.run({ confirmSooner: true }))).toEqual({ ...NOTHING, pruned: 60 });
    expect(await leavesOf(scenario)).toEqual(["day_2026_01_10", "day_2026_01_11"]);
    await expectNothingLost(scenario);
    await using whole = await Scenario.over(scenario, { prune: "auto" });
    expect((await whole.run()).state).toBe("done");
    expect(await leavesOf(scenario)).toEqual([]);
    await expectSettled(whole);
  });

  test("a leaf that was pruned in part by rows goes as a whole in the end", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + days("2026-01-10", 1), prune: "rows" });
    await scenario.insert(auditRows("2026-01-10", 1001, 260));
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.committed:error@2" } });
    await expect(failing).rejects.toThrow("failpoint");
    const left = await scenario.count();
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(260);
    await using whole = await Scenario.over(scenario, { prune: "partitions" });
    expect(moved(await whole.run())).toEqual({ ...NOTHING, pruned: left });
    expect(await leavesOf(scenario)).toEqual([]);
    await expectNothingLost(scenario);
    await expectSettled(whole);
  });

  test("partitions and then rows: what waited for its leaf is deleted", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + JANUARY, prune: "partitions" });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 60 });
    await using rows = await Scenario.over(scenario, { prune: "rows" });
    expect(moved(await rows.run())).toEqual({ ...NOTHING, pruned: 60 });
    expect(await leavesOf(scenario)).toEqual(["february", "january"]);
    await expectNothingLost(scenario);
    await expectSettled(rows);
  });

  test("leaves old enough for the cold class go there at once", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + days("2025-12-30", 2) });
    await scenario.insert(auditRows("2025-12-30", 1001, 60));
    await scenario.insert(auditRows("2025-12-31", 2001, 60));
    const run = await scenario.run();
    expect(moved(run)).toEqual({ exported: 120, pruned: 120, deleted: 0, cooled: 60 });
    expect(run.plan.steps.map(({ stages }) => stages.join(" > "))).toEqual([
      "export > seal > drop > transition",
      "export > seal > drop",
    ]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });
});

test("beside a DEFAULT partition leaves are detached in the plain way", async () => {
  await using scenario = await Scenario.create({
    ddl: `${PARENT}${days("2026-01-10", 2)}
      CREATE TABLE public.rest PARTITION OF public.audit_logs DEFAULT;`,
  });
  await scenario.insert(auditRows("2026-01-10", 1001, 60));
  await scenario.insert(auditRows("2026-01-12", 2001, 60));
  const run = await scenario.run();
  expect(run).toMatchObject({ state: "done", failures: [], exported: 120n, pruned: 120n });
  expect(await leavesOf(scenario)).toEqual(["rest"]);
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

test("days of a plain timestamp are cut in its zone", async () => {
  await using scenario = await Scenario.create({
    ddl: `CREATE TABLE public.audit_logs (
        id bigint, ts timestamp NOT NULL, action text, message text, details jsonb, PRIMARY KEY (ts, id))
        PARTITION BY RANGE (ts);
      CREATE TABLE public.day_28 PARTITION OF public.audit_logs FOR VALUES FROM ('2026-01-28') TO ('2026-01-29');
      CREATE TABLE public.day_29 PARTITION OF public.audit_logs FOR VALUES FROM ('2026-01-29') TO ('2026-01-30');
      CREATE TABLE public.day_30 PARTITION OF public.audit_logs FOR VALUES FROM ('2026-01-30') TO ('2026-01-31');`,
    source: { zone: "America/New_York" },
  });
  await scenario.insert(
    `SELECT n, timestamp '2026-01-28 00:00' + n * interval '1 hour', 'login', 'm', NULL FROM generate_series(0, 70) n`,
  );
  // A day in New York ends at 05:00 UTC of the next one: the leaf of the 29th reaches into the 30th, which is not due.
  const run = await scenario.run();
  expect(run).toMatchObject({ state: "done", failures: [], drift: [], exported: 43n, pruned: 24n });
  expect(await leavesOf(scenario)).toEqual(["day_29", "day_30"]);
  await expectSettled(scenario);
  expect((await scenario.run({ asOf: "2026-03-03" })).failures).toEqual([]);
  expect(await leavesOf(scenario)).toEqual([]);
  expect((await scenario.retrieve()).lines).toHaveLength(71);
});

describe("a role that is no superuser", () => {
  test.each([
    ["owns the table and its leaves drops them", true],
    ["does not own them deletes their rows", false],
  ])("and %s", async (_, isOwner) => {
    await using scenario = await Scenario.create({ ddl: PARENT + days("2026-01-10", 2) });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    const role = `mover_${scenario.database}`;
    const owned = ["audit_logs", "day_2026_01_10", "day_2026_01_11"];
    await scenario.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'mover'; GRANT ALL ON ALL TABLES IN SCHEMA public, firnline TO ${role};
       GRANT USAGE ON SCHEMA firnline TO ${role}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA firnline TO ${role};
       GRANT TEMPORARY ON DATABASE ${scenario.database} TO ${role};
       ${owned.map((table) => (isOwner ? `ALTER TABLE public.${table} OWNER TO ${role};` : "")).join("")}`,
    );
    const url = new URL(scenario.url);
    [url.username, url.password] = [role, "mover"];
    try {
      const run = await scenario.run({ url: url.href });
      expect(moved(run)).toEqual({ ...NOTHING, exported: 60, pruned: 60 });
      const reason = run.plan.steps[0]?.reason;
      if (isOwner) expect(reason).toBe("the day ended 49 days ago, hot keeps 30 days");
      else expect(reason).toMatch(/row by row, .*: this role does not own it and its parent$/);
      expect(await leavesOf(scenario)).toEqual(isOwner ? [] : owned.slice(1));
      await expectNothingLost(scenario);
    } finally {
      await scenario.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});

describe("a table without a key", () => {
  const KEYLESS = PARENT.replace(", PRIMARY KEY (ts, id)", "");

  test("goes leaf by leaf, rows that are all alike included", async () => {
    await using scenario = await Scenario.create({ ddl: KEYLESS + days("2026-01-10", 2) });
    await scenario.insert(auditRows("2026-01-10", 1001, 130));
    for (let copy = 0; copy < 3; copy += 1) await scenario.insert(auditRows("2026-01-11", 2001, 70));
    // All at one instant, in no order that a key would give; chunks are cut between rows of one time.
    await scenario.insert(
      `SELECT n % 7, '2026-01-11 12:00+00', 'same', NULL, NULL FROM generate_series(1, 150) n`,
    );
    const run = await scenario.run();
    expect(run).toMatchObject({ state: "done", failures: [], drift: [], exported: 490n, pruned: 490n });
    expect(await leavesOf(scenario)).toEqual([]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    const { segments } = await readArchive(scenario);
    expect(segments.every(({ pruned }) => pruned.length > 0)).toBe(true);
  });

  test("keeps its order when rows of one time change places on the disk", async () => {
    await using scenario = await Scenario.create({ ddl: KEYLESS + JANUARY });
    await scenario.insert(
      `SELECT n, '2026-01-10 12:00+00', 'same', NULL, NULL FROM generate_series(1, 130) n`,
    );
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 130 });
    await scenario.query("UPDATE public.audit_logs SET action = action WHERE id % 3 = 1");
    expect(moved(await scenario.run({ asOf: "2026-03-03" }))).toEqual({ ...NOTHING, pruned: 130 });
    await expectNothingLost(scenario);
  });

  test("changes while it waits like any other", async () => {
    await using scenario = await Scenario.create({ ddl: KEYLESS + JANUARY });
    await scenario.insert(auditRows("2026-01-10", 1001, 130));
    await scenario.insert(auditRows("2026-01-11", 2001, 60));
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 190 });
    await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1100`);
    await scenario.change((table) => `DELETE FROM ${table} WHERE id = 2010`);
    const run = await scenario.run({ asOf: "2026-03-03" });
    expect(run).toMatchObject({ state: "done", failures: [], drift: [], pruned: 189n });
    await expectNothingLost(scenario);
    await expectSettled(scenario, { asOf: "2026-03-03" });
  });

  test.each(["auto", "partitions"])("is held where its leaf cannot be dropped (prune: %s)", async (prune) => {
    await using scenario = await Scenario.create({
      ddl: `${KEYLESS} CREATE TABLE public.rest PARTITION OF public.audit_logs DEFAULT;`,
      prune,
    });
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    const run = await scenario.run();
    expect(moved(run)).toEqual(NOTHING);
    expect(run.plan.held[0]?.reason).toMatch(/and without a key no rows can be deleted$/);
    expect(await tablesOf(scenario)).toEqual(["rest"]);
    await expectNothingLost(scenario);
  });

  test("is refused where rows would have to be named", async () => {
    await using scenario = await Scenario.create({ ddl: KEYLESS + days("2026-01-10", 1), prune: "rows" });
    await expect(scenario.run()).rejects.toThrow(/^E_KEY public\.audit_logs: no primary key/);
  });
});

test("the archive of whole leaves is the same as that of rows, with rules and two runs", async () => {
  const options = {
    ddl: PARENT + JANUARY,
    rules: [{ name: "vip", when: "action = 'vip'", hot: "30d" }],
  };
  await using whole = await Scenario.create(options);
  await using rows = await Scenario.create({ ...options, prune: "rows" });
  for (const scenario of [whole, rows]) {
    await scenario.insert(auditRows("2026-01-10", 1001, 130));
    await scenario.insert(auditRows("2026-01-10", 2001, 60, "'vip'"));
    await scenario.insert(auditRows("2026-01-31", 3001, 60));
    for (const asOf of ["2026-03-01", "2026-03-10"])
      expect((await scenario.run({ asOf })).state).toBe("done");
  }
  expect(await readTiers(whole)).toEqual(await readTiers(rows));
});
