/**
 * The roles of `infra/roles.sql` instead of a superuser, on the oldest and the newest Postgres: the main path runs with
 * them, each command with its own, and none of them can do what is another's. `FIRNLINE_TEST_ROLES=1` gives them to every
 * other suite that makes its database with `Scenario`.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GRANTS, type Work } from "../../src/catalog/postgres/grants.ts";
import type { EmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { Pipeline } from "../../src/pipeline.ts";
import type { CollectResult } from "../../src/repair/collect.ts";
import { type EpochMs, parseDay } from "../../src/rows/day.ts";
import { systemClock } from "../../src/wiring.ts";
import { connect } from "../postgres/connect.ts";
import { paste, told } from "../postgres/describe-case.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { between, fillShape, leaf, PARENT } from "../support/partitioned-logs.ts";
import { createDatabase } from "../support/postgres.ts";
import { startMajor } from "../support/postgres-majors.ts";
import { applyRoles, type Role, ROLES } from "../support/roles.ts";
import { AS_OF, instantOf, LAST_DUE, moved, Scenario, type ScenarioOptions } from "../support/scenario.ts";

const DAY_MS = 86_400_000;
const WORK: Readonly<Record<Role, Work>> = {
  exporter: "run",
  pruner: "run",
  retriever: "retrieve",
  collector: "collect",
};

describe.each([15, 18] as const)("the roles of infra/roles.sql on PostgreSQL %i", (major) => {
  let server: EmbeddedPostgres;
  beforeAll(async () => {
    server = await startMajor(major);
  });
  afterAll(async () => await server?.stop());

  async function create(options: ScenarioOptions = {}): Promise<Scenario> {
    const scenario = await Scenario.on(await createDatabase(server.url()), { roles: true, ...options });
    await scenario.prepare();
    return scenario;
  }

  function pipelineOf(scenario: Scenario, role: Role, days = 0): Pipeline {
    return new Pipeline({
      policy: scenario.policy,
      connectionString: scenario.urlFor(role),
      settings: scenario.settings(),
      clock: { ...systemClock, now: () => (Date.now() + days * DAY_MS) as EpochMs },
    });
  }

  async function collect(scenario: Scenario, days: number): Promise<CollectResult> {
    await using pipeline = pipelineOf(scenario, "collector", days);
    return await pipeline.collect();
  }

  async function expectFit(scenario: Scenario, role: Role): Promise<void> {
    await using pipeline = scenario.open({ url: scenario.urlFor(role) });
    const { findings, advice } = await pipeline.doctor({ asOf: instantOf(AS_OF) });
    expect([...findings, ...advice]).toEqual([]);
  }

  it("carry a table through everything: archive, prune, change, hold, expire, collect, retrieve, verify", async () => {
    const tiers = { cold: { storageClass: "DEEP_ARCHIVE", keep: "90d" } };
    const rules = [{ name: "denied", when: "action = 'denied'", hot: "7d", archive: false }];
    await using scenario = await create({ tiers, rules, environ: { FIRNLINE_SEGMENT_MIB: "1024" } });
    await scenario.insert(auditRows("2025-12-01", 1001, 60));
    await scenario.insert(auditRows("2025-12-02", 2001, 60));
    await scenario.insert(auditRows("2026-01-10", 3001, 130));
    await scenario.insert(auditRows("2026-02-20", 4001, 20, "CASE WHEN n % 2 = 0 THEN 'denied' END"));

    // Whoever may only read archives, and no row goes.
    await using archiving = await Scenario.over(scenario, { prune: "off" });
    await expectFit(archiving, "exporter");
    const url = scenario.urlFor("exporter");
    expect(moved(await archiving.run({ url }))).toMatchObject({ exported: 250, pruned: 0, deleted: 0 });
    expect(await scenario.count()).toBe(270);

    await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 3100`);
    const summary = await scenario.run({ confirmSooner: true });
    expect(summary).toMatchObject({ state: "done", pruned: 250n, deleted: 10n, failures: [], drift: [] });
    expect(summary.cooled).toBeGreaterThan(0n);
    const deletable = "action = 'denied'";
    await expectNothingLost(scenario, { deletable });
    await expectSettled(scenario);

    await using pipeline = pipelineOf(scenario, "pruner");
    const day = parseDay("2025-12-01");
    const held = { dayFrom: day, dayTo: day, reason: "case 17", placedBy: "jane" };
    const { hold } = await pipeline.holds.place(held);
    expect(moved(await scenario.run({ asOf: "2026-03-02" }))).toMatchObject({ pruned: 0 });
    await pipeline.holds.release({ hold: hold.hold, reason: "settled", releasedBy: "jane" });
    expect(await scenario.run({ asOf: "2026-03-02" })).toMatchObject({ state: "done", expired: 60n });

    expect(await collect(scenario, 0)).toMatchObject({ removed: { objects: 0 }, waiting: { objects: 2 } });
    expect(await collect(scenario, 15)).toMatchObject({ removed: { objects: 2 }, waiting: { objects: 0 } });
    await expectNothingLost(scenario, { deletable, expired: "ts < '2025-12-02 00:00+00'" });
    await expectSettled(scenario, { asOf: "2026-03-02" });

    await using retriever = pipelineOf(scenario, "retriever");
    const found: string[] = [];
    await retriever.verify({ deep: true, onFinding: ({ message }) => found.push(message) });
    expect(found).toEqual([]);
    expect((await retriever.status()).census.rows).toBe(10n);
    const restores = await retriever.restores({ all: true });
    expect(restores.map(({ state }) => state).sort()).toEqual(["expired", "readable"]);
  });

  it("drop whole native partitions as members of their owner, and of nobody else's", async () => {
    const ddl = PARENT + leaf("public.day_10", "2026-01-10", "2026-01-11");
    await using scenario = await create({ ddl: ddl + leaf("public.february", "2026-02-01", "2026-03-01") });
    // Made after the grants, as partitions are, and then granted anew.
    await scenario.query(`
      SET ROLE ${scenario.database}_owner;
      CREATE TABLE public.day_11 PARTITION OF public.audit_logs ${between("2026-01-11", "2026-01-12")};
      RESET ROLE`);
    await fillShape(scenario);
    await applyRoles(scenario.url, variables(scenario));
    await scenario.query(`REVOKE ALL ON public.day_11 FROM ${scenario.database}_pruner`);
    await expect(scenario.run()).rejects.toThrow(
      "E_VISIBILITY public.audit_logs: its partition public.day_11 may not be read by this role. " +
        "GRANT SELECT on each partition",
    );
    await applyRoles(scenario.url, { ...variables(scenario), drops: "on", future: "on" });
    expect(moved(await scenario.run())).toMatchObject({ exported: 190, pruned: 190 });
    const left = await scenario.query(
      "SELECT relid::regclass::text AS name FROM pg_partition_tree('audit_logs')",
    );
    expect(left.map(({ name }) => name)).toEqual(["audit_logs", "february"]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    // With `future` the next one needs nothing.
    await scenario.query(`
      SET ROLE ${scenario.database}_owner;
      CREATE TABLE public.day_12 PARTITION OF public.audit_logs ${between("2026-01-12", "2026-01-13")};
      RESET ROLE`);
    await scenario.insert(auditRows("2026-01-12", 5001, 10));
    await expectFit(scenario, "pruner");
    // Without the membership rows go one by one, and the leaf stays.
    await applyRoles(scenario.url, variables(scenario));
    expect(moved(await scenario.run())).toMatchObject({ exported: 10, pruned: 10 });
    expect(await scenario.count("relname = 'day_12'", "pg_class")).toBe(1);
    await expectNothingLost(scenario);
  });

  describe("have what the code says that they need, and nothing else", () => {
    let scenario: Scenario;
    beforeAll(async () => {
      scenario = await create();
      await scenario.insert(auditRows(LAST_DUE, 1, 60));
      await applyRoles(scenario.url, variables(scenario));
    });
    afterAll(async () => await scenario?.[Symbol.asyncDispose]());

    it.each(ROLES)("%s", async (role) => {
      const held = await scenario.query(
        `SELECT c.relname AS table, privilege FROM pg_class c,
           unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) privilege
         WHERE c.relnamespace = 'firnline'::regnamespace AND c.relkind = 'r' AND has_table_privilege($1, c.oid, privilege)`,
        [`${scenario.database}_${role}`],
      );
      const wanted = Object.entries(GRANTS[WORK[role]]).flatMap(([table, privileges]) =>
        privileges.map((privilege) => `${privilege} ${table}`),
      );
      expect(held.map(({ table, privilege }) => `${privilege} ${table}`).sort()).toEqual(wanted.sort());
      const on = async (privilege: string): Promise<unknown> =>
        (
          await scenario.query("SELECT has_table_privilege($1, 'public.audit_logs', $2) AS held", [
            `${scenario.database}_${role}`,
            privilege,
          ])
        )[0]?.["held"];
      expect({
        select: await on("SELECT"),
        delete: await on("DELETE"),
        change: await on("INSERT, UPDATE, TRUNCATE, REFERENCES, TRIGGER"),
      }).toEqual({ select: role !== "collector", delete: role === "pruner", change: false });
    });

    it("again and again: what was granted besides is gone, and doctor names what was taken away", async () => {
      const pruner = `${scenario.database}_pruner`;
      await scenario.query(`
        GRANT ALL ON ALL TABLES IN SCHEMA firnline TO ${pruner};
        GRANT ALL ON public.audit_logs TO ${scenario.database}_retriever`);
      await applyRoles(scenario.url, variables(scenario));
      const url = scenario.urlFor("retriever");
      await using retriever = await connect(url);
      await expect(retriever.query("DELETE FROM public.audit_logs")).rejects.toThrow("permission denied");
      await using administrator = await connect(scenario.url);
      for (const [table, privileges] of Object.entries(GRANTS.run)) {
        const privilege = privileges.at(-1) as string;
        await scenario.query(`REVOKE ${privilege} ON firnline.${table} FROM ${pruner}`);
        await using pipeline = pipelineOf(scenario, "pruner");
        const { findings } = await pipeline.doctor({ asOf: instantOf(AS_OF) });
        expect(findings.map(told)).toEqual([
          "E_VISIBILITY schema firnline: this role lacks privileges on the control schema that a run needs " +
            `(${privilege} on ${table}). Use the role that is meant for it (infra/roles.sql), or grant them, as the ` +
            `role that ran \`firnline migrate\`.\n    GRANT ${privilege} ON firnline.${table} TO ${pruner};`,
        ]);
        for (const { fix } of findings) await paste(administrator, fix);
      }
      await expectFit(scenario, "pruner");
    });
  });

  describe("cannot do what is another's", () => {
    let scenario: Scenario;
    beforeAll(async () => {
      scenario = await create();
      await scenario.insert(auditRows(LAST_DUE, 1, 60));
      await scenario.insert(auditRows("2026-02-20", 101, 10));
      const environ = { FIRNLINE_FAILPOINT: "prune.started:error" };
      await expect(scenario.run({ environ })).rejects.toThrow("failpoint");
      await applyRoles(scenario.url, variables(scenario));
    });
    afterAll(async () => await scenario?.[Symbol.asyncDispose]());

    const lacks = (work: string): RegExp =>
      new RegExp(
        `^E_VISIBILITY schema firnline: this role lacks privileges on the control schema that ${work} needs \\(`,
        "m",
      );
    const may = (what: string): RegExp =>
      new RegExp(`^E_VISIBILITY public\\.audit_logs: this role may not ${what}\\. GRANT ${what} on it`);
    const RANGE = ["--from", "2026-01-01", "--to", "2026-03-01"];

    // As processes, which take their time; what they are told by is the same on both.
    const COMMANDS: readonly [Role, string, readonly string[], RegExp][] = [
      ["exporter", "run", ["--as-of", AS_OF], may("DELETE")],
      ["exporter", "collect", [], lacks("`collect`")],
      ["exporter", "retrieve", ["audit_logs", ...RANGE, "--out", "answer"], lacks("a retrieval")],
      ["pruner", "collect", [], lacks("`collect`")],
      ["pruner", "retrieve", ["audit_logs", ...RANGE, "--out", "answer"], lacks("a retrieval")],
      ["retriever", "run", ["--as-of", AS_OF], lacks("a run")],
      ["retriever", "collect", [], lacks("`collect`")],
      ["retriever", "hold", ["add", "audit_logs", ...RANGE, "--reason", "no"], lacks("a run")],
      ["collector", "run", ["--as-of", AS_OF], lacks("a run")],
      ["collector", "retrieve", ["audit_logs", ...RANGE, "--out", "answer"], lacks("a retrieval")],
    ];
    it.each(major === 18 ? COMMANDS : COMMANDS.slice(0, 2))(
      "the %s is denied `firnline %s`, and nothing changes",
      async (role, command, args, message) => {
        const state = async (): Promise<unknown> => [
          await scenario.query("SELECT xmin::text, * FROM public.audit_logs ORDER BY id"),
          await scenario.query("SELECT xmin::text, * FROM firnline.pipeline"),
          await scenario.query(
            "SELECT (SELECT count(*) FROM firnline.retrieval), (SELECT count(*) FROM firnline.garbage)",
          ),
          (await readdir(scenario.archive, { recursive: true })).sort(),
        ];
        const before = await state();
        const answer = args.map((one) => (one === "answer" ? join(scenario.folder, "answer") : one));
        const { code, stderr } = await scenario.spawn([command, ...answer], {
          DATABASE_URL: scenario.urlFor(role),
        }).ended;
        expect({ code, stderr }).toEqual({ code: 12, stderr: expect.stringMatching(message) });
        expect(await state()).toEqual(before);
        expect(await scenario.answers()).toEqual([]);
      },
    );

    it.each<[Role, string]>([
      ["exporter", "DELETE FROM public.audit_logs"],
      ["exporter", "UPDATE public.audit_logs SET message = 'x'"],
      ["exporter", "TRUNCATE public.audit_logs"],
      ["exporter", "DROP TABLE public.audit_logs"],
      ["pruner", "INSERT INTO public.audit_logs (id, ts) VALUES (1, now())"],
      ["pruner", "UPDATE public.audit_logs SET message = 'x'"],
      ["pruner", "INSERT INTO firnline.garbage VALUES ('audit_logs', 'key', '', 1, now())"],
      ["retriever", "DELETE FROM public.audit_logs"],
      ["retriever", "DELETE FROM firnline.retrieval"],
      ["retriever", "UPDATE firnline.segment SET state = 'expired'"],
      ["retriever", "DELETE FROM firnline.outbox"],
      ["collector", "SELECT FROM public.audit_logs"],
      ["collector", "DELETE FROM firnline.segment"],
      ["collector", "INSERT INTO firnline.hold SELECT"],
    ])("the %s is denied by Postgres: %s", async (role, statement) => {
      await using client = await connect(scenario.urlFor(role));
      await expect(client.query(statement)).rejects.toThrow(/permission denied|must be owner/);
    });
  });

  it("need BYPASSRLS for a table with row security, which doctor says and the script gives", async () => {
    await using scenario = await create();
    await scenario.insert(auditRows(LAST_DUE, 1, 20));
    await scenario.query("ALTER TABLE public.audit_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY");
    await expect(scenario.run()).rejects.toThrow(
      "E_VISIBILITY public.audit_logs: row-level security hides rows from this role",
    );
    await expect(scenario.retrieve()).rejects.toThrow("E_VISIBILITY public.audit_logs: row-level security");
    await applyRoles(scenario.url, { ...variables(scenario), bypass_rls: "on" });
    expect(moved(await scenario.run())).toMatchObject({ pruned: 20 });
    await expectNothingLost(scenario);
  });
});

/** The script's variables for the roles that the scenario has. */
function variables(scenario: Scenario): Readonly<Record<string, string>> {
  const names = Object.fromEntries(ROLES.map((role) => [role, `${scenario.database}_${role}`]));
  return { table: scenario.table, ...names };
}
