/** `verify`, `catalog rebuild`, `adopt` and `collect` as a person and a script use them: what they say, and exit codes. */
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listArchive } from "../support/archive-damage.ts";
import { backUpCatalog, loseCatalog, restoreCatalog } from "../support/control-schema.ts";
import { Scenario } from "../support/scenario.ts";
import { jsonLines } from "./command-line.ts";
import { cli, everything, fill, json, WHEN } from "./on-scenario.ts";

let scenario: Scenario;

beforeAll(async () => {
  scenario = await Scenario.create();
  await fill(scenario);
  await scenario.run();
});
afterAll(async () => await scenario?.[Symbol.asyncDispose]());

describe("firnline verify", () => {
  it("says in text that nothing is wrong, and which head to note; 0", async () => {
    const before = await everything(scenario);
    const { code, stdout, stderr } = await cli(scenario, "verify");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      new RegExp(
        [
          "^audit_logs: nothing is wrong; \\d+ entries in the journal, 2 segments",
          "  manifests were hashed and objects looked for; --deep reads and hashes every value",
          "  head [0-9a-f]{64} of entry \\d+; note it elsewhere, and nothing before it can be changed unseen\n$",
        ].join("\n"),
      ),
    );
    expect(await everything(scenario)).toEqual(before);
  });

  it("says with --deep what it read and what is cold, and with --sample how to pick the same again", async () => {
    const deep = await cli(scenario, "verify", "audit-logs", "--deep");
    expect(deep.stdout).toContain("\n  every value of 1 segment was read and hashed: 60 rows, ");
    expect(deep.stdout).toContain(
      "\n  unverified: 1 cold segment can't be read before a restore, which says nothing against them\n",
    );
    const sample = await cli(scenario, "verify", "--sample", "1");
    const again = /the same segments again: (--sample 1 --seed \d+)\n/.exec(sample.stdout)?.[1] as string;
    expect((await cli(scenario, "verify", ...again.split(" "))).stdout).toBe(sample.stdout);
    const [line] = await json(scenario, "verify", "--sample", "1", "--seed", "7");
    expect(line).toMatchObject({ verify: { findings: 0, sample: { count: 1, seed: 7 } } });
  });

  it("names each finding on a line of its own, in text and in JSON; 1", async () => {
    await using other = await Scenario.create();
    await fill(other);
    await other.run();
    const paths = await listArchive(other, ".parquet");
    for (const path of paths.slice(0, 2)) await rm(path);
    const { code, stdout, stderr } = await cli(other, "verify");
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    const lines = stdout.split("\n");
    for (const line of lines.slice(0, 2)) {
      expect(line).toMatch(
        /^E_VERIFY audit_logs\/daily\/.*\.parquet: the object is gone\. Nothing was deleted; .*\.$/,
      );
    }
    expect(lines[2]).toMatch(/^audit_logs: 2 findings; /);
    const machine = await cli(other, "verify", "--json");
    expect(machine).toMatchObject({ code: 1, stderr: "" });
    expect(jsonLines(machine.stdout)).toMatchObject([
      { pipeline: "audit_logs", finding: { code: "E_VERIFY" } },
      { pipeline: "audit_logs", finding: { code: "E_VERIFY" } },
      { pipeline: "audit_logs", verify: { findings: 2 } },
    ]);
  });

  it("of a pipeline that has never run; 0", async () => {
    await using other = await Scenario.create();
    expect(await cli(other, "verify")).toMatchObject({
      code: 0,
      stdout: "audit_logs: it has never run, so there is nothing to verify\n",
    });
  });

  it.each([
    [["--sample", "0"], /^E_INPUT --sample: it is not a whole number from 1 to 1000000 \(found "0"\)/],
    [["--sample", "some"], /^E_INPUT --sample: it is not a whole number/],
    [["--deep", "--sample", "3"], /^E_INPUT --sample: --deep reads all segments\. Leave one of them away\./],
    [["--seed", "3"], /^E_INPUT --seed: it is for --sample\. Add --sample N\./],
  ])("%s: 2", async (args, message) => {
    const { code, stdout, stderr } = await cli(scenario, "verify", ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });
});

describe("firnline catalog rebuild", () => {
  it("brings a lost catalog back; 0", async () => {
    await using other = await Scenario.create();
    await fill(other);
    await other.run();
    await loseCatalog(other);
    const lost = await cli(other, "verify");
    expect(lost.code).toBe(1);
    expect(lost.stdout).toMatch(
      /^E_CATALOG pipeline audit_logs: .*the catalog does not know it\. `firnline catalog rebuild`/,
    );
    const { code, stdout, stderr } = await cli(other, "catalog", "rebuild", "audit-logs");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^audit_logs: the catalog is what the archive says, up to entry \d+\n {2}segments: 1 warm, 1 cold\n$/,
    );
    expect(await cli(other, "verify", "--deep")).toMatchObject({ code: 0 });
  });

  it("shows what it would replace, and wants --yes for it; 2", async () => {
    await using other = await Scenario.create();
    await fill(other);
    await other.run({ asOf: "2026-02-10" });
    await backUpCatalog(other);
    await other.run();
    await restoreCatalog(other);
    const stopped = await cli(other, "run", ...WHEN);
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toMatch(
      /^E_OWNER .*`firnline verify` says how .*`firnline catalog rebuild`.*`firnline adopt`/,
    );
    const refused = await cli(other, "catalog", "rebuild", "audit-logs");
    expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(
      /^E_INPUT pipeline audit_logs: the catalog holds its state up to entry \d+ of the journal, and that would be /,
    );
    const [line] = await json(other, "catalog", "rebuild", "audit-logs", "--yes");
    expect(line).toMatchObject({
      rebuild: { segments: { warm: 1, cold: 1 }, rowsUnknown: "0", adoptedFrom: null },
    });
    expect(await cli(other, "run", ...WHEN)).toMatchObject({ code: 0 });
  });

  it.each([
    [[], /^E_INPUT firnline catalog: the action is missing/],
    [
      ["rebild"],
      /^E_INPUT firnline catalog: there is no such action \(found "rebild"\)\. Did you mean rebuild\?/,
    ],
    [["rebuild"], /^E_INPUT firnline catalog rebuild: the PIPELINE is missing/],
    [["rebuild", "a", "b"], /^E_INPUT firnline catalog: /],
  ])("%s: 2", async (args, message) => {
    const { code, stderr } = await cli(scenario, "catalog", ...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe("firnline adopt", () => {
  it("wants --yes, names what that means, and then stops the other database; 2, 0, 1", async () => {
    await using owner = await Scenario.create();
    await fill(owner);
    await owner.run();
    await using database = await owner.copy();
    const copy = Scenario.elsewhere(owner, database.url);
    const refused = await cli(copy, "run", ...WHEN);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^E_OWNER pipeline audit_logs: .*databaseOid.*use `firnline adopt`\.\n$/);
    const asked = await cli(copy, "adopt", "audit-logs");
    expect(asked.code).toBe(2);
    expect(asked.stderr).toMatch(
      /^E_INPUT pipeline audit_logs: the archive would belong to this database, and the one that writes to it now would be stopped/,
    );
    const adopted = await cli(copy, "adopt", "audit-logs", "--yes");
    expect(adopted).toMatchObject({ code: 0, stderr: "" });
    expect(adopted.stdout).toMatch(
      /^audit_logs: the archive belongs to this database now, from entry \d+ on; the one before stops with E_OWNER\n/,
    );
    expect(await cli(copy, "run", ...WHEN)).toMatchObject({ code: 0 });
    expect(await cli(owner, "run", ...WHEN)).toMatchObject({ code: 1 });
    expect(await cli(copy, "adopt")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("the PIPELINE is missing"),
    });
  });
});

describe("firnline collect", () => {
  it("says that there is nothing, what waits, and what it would do; 0", async () => {
    await using other = await Scenario.create();
    await fill(other);
    expect(await cli(other, "collect")).toMatchObject({ code: 0, stdout: "audit_logs: nothing to remove\n" });
    await other.failuresOf({ environ: { FIRNLINE_FAILPOINT: "export.uploaded:error" } });
    await other.run();
    const waiting =
      /^audit_logs: nothing to remove\n {2}not for long enough: 1 object, .*; they go after the recovery/;
    expect((await cli(other, "collect", "--dry-run")).stdout).toMatch(waiting);
    expect((await cli(other, "collect")).stdout).toMatch(waiting);
    await other.query("UPDATE firnline.garbage SET first_seen = first_seen - interval '15 days'");
    expect((await cli(other, "collect", "--dry-run")).stdout).toMatch(/^audit_logs: would remove 1 object, /);
    const [line] = await json(other, "collect");
    expect(line).toMatchObject({
      collect: { isDryRun: false, removed: { objects: 1 }, foreign: 0, spools: 0 },
    });
    expect(await cli(other, "verify", "--deep")).toMatchObject({ code: 0 });
  });

  it("wants no run beside it; 11", async () => {
    await using other = await Scenario.create();
    await fill(other);
    await other.run();
    await other.query(
      `UPDATE firnline.pipeline SET lease_run = 'another', lease_expires_at = now() + interval '1 hour',
         lease_holder = '{"host": "elsewhere", "pid": 1, "space": ""}'`,
    );
    expect(await cli(other, "collect")).toMatchObject({ code: 11, stdout: "" });
  });
});
