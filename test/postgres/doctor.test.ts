/** Doctor beyond the table: clocks, the control schema, the archive's history, the policy, folders. And what `run` heeds. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { Diagnosis } from "../../src/doctor.ts";
import { FirnlineError, FirnlineErrors } from "../../src/errors.ts";
import { Pipeline } from "../../src/pipeline.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { migrateDatabase, systemClock } from "../../src/wiring.ts";
import { archiveContents } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { createDatabase, runAlone } from "../support/postgres.ts";
import { AS_OF, instantOf, moved, Scenario } from "../support/scenario.ts";
import { connect } from "./connect.ts";
import { paste, told } from "./describe-case.ts";

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create();
  await template.insert(auditRows("2026-01-29", 1, 60));
  await template.insert(auditRows("2026-02-20", 101, 60));
});
afterAll(async () => await template?.[Symbol.asyncDispose]());

async function doctor(pipeline: Pipeline): Promise<Diagnosis> {
  await using asked = pipeline;
  return await asked.doctor({ asOf: instantOf(AS_OF) });
}

/** Findings and advice as doctor prints them, with the names of this test masked. */
function texts({ findings, advice }: Diagnosis, scenario: Scenario): string[] {
  const all = [
    ...findings,
    ...advice.map((one) => ({ ...one, message: `${one.code} ${one.subject}: ${one.problem}. ${one.hint}.` })),
  ];
  return all.map((one) =>
    told(one).replaceAll(scenario.database, "DATABASE").replaceAll(scenario.folder, "/FOLDER"),
  );
}

const golden = new Map<string, string[]>();

async function expectTold(title: string, scenario: Scenario, pipeline = scenario.open()): Promise<Diagnosis> {
  const found = await doctor(pipeline);
  golden.set(title, texts(found, scenario));
  return found;
}

describe("a database, an archive and a policy that fit together", () => {
  test("are found fit before the first run, after it, and in the middle of one", async () => {
    await using scenario = await template.copy();
    expect(texts(await doctor(scenario.open()), scenario)).toEqual([]);
    expect(await readdir(scenario.folder)).toEqual(["pipelines"]);
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
    await expect(failing).rejects.toThrow("failpoint");
    expect(texts(await doctor(scenario.open()), scenario)).toEqual([]);
    expect(moved(await scenario.run())).toMatchObject({ pruned: 60 });
    expect(texts(await doctor(scenario.open()), scenario)).toEqual([]);
  });

  test("are left as they are by looking", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    const state = async (): Promise<unknown> => [
      await archiveContents(scenario),
      await scenario.query("SELECT xmin, ctid, * FROM audit_logs"),
      await scenario.query("SELECT xmin, * FROM firnline.pipeline"),
      await scenario.query("SELECT array_agg(oid ORDER BY oid) FROM pg_class"),
    ];
    const before = await state();
    await doctor(scenario.open());
    expect(await state()).toEqual(before);
  });
});

describe("clocks that are more than a minute apart", () => {
  const ahead = (scenario: Scenario, ms: number): Pipeline =>
    new Pipeline({
      policy: scenario.policy,
      connectionString: scenario.url,
      settings: scenario.settings(),
      clock: { ...systemClock, now: () => (systemClock.now() + ms) as EpochMs },
    });

  test.each([2 * 86_400_000, -2 * 86_400_000])(
    "(%d ms) refuse the run before it writes anything",
    async (ms) => {
      await using scenario = await template.copy();
      const { findings } = await doctor(ahead(scenario, ms));
      expect(findings).toMatchObject([
        { code: "E_CLOCK", problem: expect.stringMatching(/^the database's clock is (1|2) days|47 hours/) },
      ]);
      await using pipeline = ahead(scenario, ms);
      // With its own idea of today it would let go of two days too many.
      await expect(pipeline.run({ backfill: true })).rejects.toThrow(/E_CLOCK this host and the database/);
      expect(await scenario.count()).toBe(120);
      expect(await scenario.count("true", "firnline.pipeline")).toBe(0);
      expect(await readdir(scenario.folder)).toEqual(["pipelines"]);
    },
  );

  test("(50 s) are near enough", async () => {
    await using scenario = await template.copy();
    expect((await doctor(ahead(scenario, 50_000))).findings).toEqual([]);
  });
});

describe("a server or table that is refused", () => {
  test("stops the run before it writes anything, with all findings at once", async () => {
    await using scenario = await template.copy();
    await scenario.query(
      "CREATE TABLE child (id bigint REFERENCES audit_logs ON DELETE CASCADE); ALTER TABLE audit_logs ADD v regclass",
    );
    await scenario.query("BEGIN; INSERT INTO audit_logs VALUES (9999, now()); PREPARE TRANSACTION 'left'");
    const { findings } = await expectTold("a table and a server with several faults", scenario);
    expect(findings.map(({ code }) => code)).toEqual(["E_SIDE_EFFECT", "E_TYPE", "E_SERVER"]);
    const error = await scenario.run().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FirnlineErrors);
    expect((error as FirnlineErrors).errors.map(({ code }) => code)).toEqual(
      findings.map(({ code }) => code),
    );
    expect(await scenario.count("true", "firnline.pipeline")).toBe(0);
    expect(await readdir(scenario.folder)).toEqual(["pipelines"]);
    await scenario.query("ROLLBACK PREPARED 'left'");
  });
});

describe("the control schema", () => {
  test("that is not there is advised to be made; a role that may not make it is told the grant", async () => {
    const database = await createDatabase();
    await using scenario = await Scenario.on(database);
    await scenario.query(
      "CREATE TABLE audit_logs (id bigint PRIMARY KEY, ts timestamptz NOT NULL); CREATE INDEX ON audit_logs (ts)",
    );
    const first = await expectTold("no control schema", scenario);
    expect({ findings: first.findings, codes: first.advice.map(({ code }) => code) }).toEqual({
      findings: [],
      codes: ["A_CATALOG"],
    });
    await migrateDatabase(scenario.url, scenario.settings());
    expect(texts(await doctor(scenario.open()), scenario)).toEqual([]);
  });

  test("of an older version is advised to be migrated, of a newer one is left alone", async () => {
    await using scenario = await template.copy();
    await scenario.query("DELETE FROM firnline.migration WHERE version > 1");
    const older = await doctor(scenario.open());
    expect(older.findings).toEqual([]);
    expect(older.advice).toMatchObject([
      { code: "A_CATALOG", problem: expect.stringMatching(/^the control schema has version 1 of \d+$/) },
    ]);
    await scenario.query("INSERT INTO firnline.migration VALUES (2, 'x'), (1000, 'y')");
    const newer = await doctor(scenario.open());
    expect(newer).toMatchObject({ findings: [{ code: "E_CATALOG" }], advice: [] });
  });

  test("is asked for the grants of a role that has none, and those are enough: for a run, and then for a retrieval", async () => {
    await using scenario = await template.copy();
    const role = `firnline_test_${randomBytes(6).toString("hex")}`;
    await scenario.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    try {
      const url = new URL(scenario.url);
      [url.username, url.password] = [role, "secret"];
      await using superuser = await connect(scenario.url);
      const rounds: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        const found = await doctor(scenario.open({ url: url.href }));
        rounds.push(...texts(found, scenario).map((text) => text.replaceAll(role, "ROLE")));
        for (const { fix } of found.findings) await paste(superuser, fix);
      }
      golden.set("a role without any grant, in rounds", rounds);
      await scenario.query(`REVOKE DELETE ON ALL TABLES IN SCHEMA firnline FROM ${role}`);
      await scenario.query(`REVOKE USAGE ON SEQUENCE firnline.segment_sequence FROM ${role}`);
      const partly = await doctor(scenario.open({ url: url.href }));
      expect(partly.findings).toMatchObject([
        {
          problem: expect.stringMatching(
            /^this role lacks privileges .+ \(DELETE on chunk, DELETE on .+ and \d+ more\)$/,
          ),
        },
      ]);
      for (const { fix } of partly.findings) await paste(superuser, fix);
      expect((await doctor(scenario.open({ url: url.href }))).findings).toEqual([]);
      expect(moved(await scenario.run({ url: url.href }))).toMatchObject({ pruned: 60 });
      await using pipeline = scenario.open({ url: url.href });
      const request = { from: instantOf("2026-01-01"), to: instantOf("2026-03-01"), where: [] };
      const retrieve = async () =>
        await pipeline.retrieve(request, { out: join(scenario.folder, "all.ndjson"), requestedBy: "a test" });
      const denied = await retrieve().catch((error: unknown) => error as FirnlineError);
      if (!(denied instanceof FirnlineError)) throw new Error("whoever runs it may not retrieve from it");
      golden.set("the same role, for a retrieval", [told(denied).replaceAll(role, "ROLE")]);
      await paste(superuser, denied.fix);
      const answer = await retrieve();
      expect(answer.rows).toBe(120n);
      expect(await scenario.plan({ url: url.href })).toMatchObject({ steps: [] });
    } finally {
      await scenario.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  test("that gives the table to another pipeline refuses this one", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    const { policy } = scenario;
    const second = new Pipeline({
      policy: { ...policy, pipeline: "audit_again" },
      connectionString: scenario.url,
      settings: scenario.settings(),
    });
    await expectTold("a second pipeline on the table", scenario, second);
    expect(golden.get("a second pipeline on the table")).toEqual([
      expect.stringMatching(/^E_POLICY pipeline audit_again: pipeline audit_logs moves this table already/),
    ]);
  });
});

describe("the archive", () => {
  test("whose folder is a file is refused", async () => {
    await using scenario = await template.copy();
    await writeFile(scenario.archive, "x");
    const { findings } = await expectTold("a file in the archive's place", scenario);
    expect(findings).toMatchObject([{ code: "E_ARCHIVE" }]);
  });

  test("that went on without this database is refused (hazard 3)", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    const journal = join(scenario.archive, "_firnline/audit_logs/journal");
    const last = (await readdir(journal))
      .filter((name) => name.endsWith(".json"))
      .sort()
      .at(-1) as string;
    const next = last.replace(/\d+/, (n) => String(Number(n) + 1).padStart(n.length, "0"));
    await chmod(join(journal, last), 0o644);
    await rename(join(journal, last), join(journal, next));
    const { findings } = await doctor(scenario.open());
    expect(findings).toMatchObject([
      { code: "E_OWNER", problem: "the catalog's last entry is not in the archive" },
    ]);
    await rename(join(journal, next), join(journal, last));
    expect((await doctor(scenario.open())).findings).toEqual([]);
    await scenario.query("UPDATE firnline.pipeline SET journal_n = 0, journal_sha256 = repeat('0', 64)");
    await expectTold("a control schema from before the first run", scenario);
    expect(golden.get("a control schema from before the first run")).toEqual([
      expect.stringMatching(/^E_OWNER .+: the archive has an entry that this catalog does not know/),
    ]);
  });

  test("of a database that lost its control schema is refused", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    await scenario.query("DROP SCHEMA firnline CASCADE");
    const { findings, advice } = await expectTold("a lost control schema", scenario);
    expect(findings).toMatchObject([{ code: "E_OWNER" }]);
    expect(advice).toMatchObject([{ code: "A_CATALOG" }]);
  });

  test("of another database, or of another folder, is refused (hazard 4)", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    await using copy = await scenario.copy();
    const { findings } = await doctor(copy.open());
    expect(findings.map(({ code }) => code)).toEqual(["E_OWNER", "E_OWNER"]);
    // It differs from run to run which numbers stand in there.
    expect(findings.map(({ problem }) => problem.replaceAll(/\d+/g, "N"))).toEqual([
      "there is no journal of this pipeline, and the catalog knows one of N entries",
      "its archive belongs to another source (databaseOid N, this is N)",
    ]);
  });
});

describe("the policy", () => {
  test("that lets go of rows sooner, or reads the table otherwise, is told what that means", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    await using sooner = await Scenario.over(scenario, { tiers: { hot: { keep: "7d" } } });
    const { findings } = await expectTold("a policy that lets go of rows sooner", sooner);
    expect(findings).toEqual([]);
    await using renamed = await Scenario.over(scenario, { source: { key: ["id"] } });
    await expectTold("a policy that names the key", renamed);
    expect(golden.get("a policy that names the key")).toEqual([
      expect.stringMatching(/^A_POLICY .+source\.key: /),
    ]);
  });
});

describe("the folder for spools", () => {
  test("that is not there is told of; a run does not need it", async () => {
    await using scenario = await template.copy();
    const environ = { FIRNLINE_TMPDIR: join(scenario.folder, "gone") };
    const { advice, findings } = await expectTold(
      "no folder for spools",
      scenario,
      scenario.open({ environ }),
    );
    expect(findings).toEqual([]);
    expect(advice).toMatchObject([{ code: "A_CAPACITY" }]);
    expect(moved(await scenario.run({ environ }))).toMatchObject({ pruned: 60 });
    await mkdir(join(scenario.folder, "gone"));
    expect((await doctor(scenario.open({ environ }))).advice).toEqual([]);
    await rm(join(scenario.folder, "gone"), { recursive: true });
  });
});

test("all of it is told in the words that are written down", async () => {
  const sections = [...golden].map(([title, lines]) => `## ${title}\n${lines.join("\n")}\n`);
  const text = sections
    .join("\n")
    .replaceAll(/was left open \d+ seconds? ago/g, "was left open N seconds ago");
  await expect(text).toMatchFileSnapshot("../golden/doctor-findings.txt");
});

test("nothing of this is left on the server", async () => {
  const { rows } = await runAlone(
    template.url,
    "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
  );
  expect(rows).toEqual([]);
});
