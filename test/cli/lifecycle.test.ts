/** `firnline lifecycle` as far as it needs no bucket; `test/s3/lifecycle.test.ts` has one. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ending, firnline } from "./command-line.ts";

const EXAMPLES = fileURLToPath(new URL("../../pipelines", import.meta.url));
const GOLDEN = new URL("../../infra/terraform/examples/complete/lifecycle.json", import.meta.url);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "firnline-lifecycle-"));
  const policy = (pipeline: string, url: string): string =>
    JSON.stringify({
      version: 1,
      pipeline,
      source: { connection: "DATABASE_URL", table: `public.${pipeline}`, time: "ts" },
      archive: { url },
      tiers: { hot: { keep: "30d" }, warm: { keep: "365d" }, cold: {} },
    });
  await writeFile(join(folder, "here.yaml"), policy("here", "file:///var/lib/firnline"));
  await writeFile(join(folder, "one.yaml"), policy("one", "s3://one/audit"));
  await writeFile(join(folder, "two.yaml"), policy("two", "s3://two/audit"));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

const lifecycle = async (...args: string[]): Promise<Ending> =>
  await firnline(["lifecycle", ...args, "--folder", folder]);

describe("firnline lifecycle print", () => {
  it("prints what the Terraform module's example reads; one line with --json", async () => {
    const { code, stdout, stderr } = await firnline(["lifecycle", "print", "--folder", EXAMPLES]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(await readFile(GOLDEN, "utf8"));
    const line = await firnline(["lifecycle", "print", "--folder", EXAMPLES, "--json"]);
    expect(line.stdout.split("\n")).toHaveLength(2);
    expect(JSON.parse(line.stdout)).toEqual(JSON.parse(stdout));
  });

  it("leaves folders out where all pipelines are meant, and takes one bucket only", async () => {
    const { code, stderr } = await lifecycle("print");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        "E_INPUT firnline lifecycle print: a bucket has one set of rules, and these pipelines are in several " +
        "(found s3://one, s3://two). Name the pipelines of one bucket.\n",
    });
    const one = await lifecycle("print", "one");
    expect(one.code).toBe(0);
    expect(JSON.parse(one.stdout)).toMatchObject({
      Rules: [{ ID: "firnline-cold:audit/one/" }, { ID: "firnline-uploads:audit/_firnline/one/" }, {}],
    });
  });
});

describe("firnline lifecycle", () => {
  it.each(["print", "check", "apply"])("has nothing to do for an archive in a folder: %s", async (action) => {
    expect(await lifecycle(action, "here")).toMatchObject({
      code: 2,
      stdout: "",
      stderr:
        "E_INPUT pipeline here: its archive is a folder, which has no lifecycle rules. There is nothing to do: objects " +
        "of a folder are moved by `firnline run` itself.\n",
    });
  });

  it.each([
    [[], ": the action is missing"],
    [["chek"], ': there is no such action (found "chek"). Did you mean check?'],
    [["check", "one", "--yes"], " check: it writes nothing, so it takes no --yes"],
    [["one"], ': there is no such action (found "one"). Write print, check or apply before the pipelines.'],
  ])("says what it takes: %j", async (args, problem) => {
    const { code, stderr } = await lifecycle(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(`E_INPUT firnline lifecycle${problem}`);
  });

  it("says of each bucket that it cannot be reached, and goes on; it needs no database", async () => {
    const environ = {
      AWS_ACCESS_KEY_ID: "",
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_REGION: "us-east-1",
      HOME: folder,
    };
    const { code, stderr, stdout } = await firnline(["lifecycle", "check", "--folder", folder], { environ });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.split("\n").map((line) => line.slice(0, 19))).toEqual([
      "E_ARCHIVE s3://one:",
      "E_ARCHIVE s3://two:",
      "",
    ]);
  });
});
