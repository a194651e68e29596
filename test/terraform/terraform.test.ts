/**
 * The Terraform module: it is formatted and valid, and what it plans is what the policies want. Needs `terraform` on the
 * PATH, and the AWS provider from the registry or from a mirror on disk that FIRNLINE_TEST_TERRAFORM_MIRROR names (laid
 * out as `terraform providers mirror` does). No account and no credentials: nothing is applied.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LifecycleRule } from "../../src/plan/lifecycle-rules.ts";

const MODULE = fileURLToPath(new URL("../../infra/terraform", import.meta.url));
/** Downloading the provider, where it comes from the registry. */
const INIT_MS_MAX = 300_000;
const COMMAND_MS_MAX = 120_000;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let folder = "";
let environ: Record<string, string | undefined> = {};

async function terraform(args: readonly string[], cwd: string, ms = COMMAND_MS_MAX): Promise<Outcome> {
  return await new Promise((resolve, reject) => {
    const options = { cwd, env: environ, timeout: ms, maxBuffer: 64 << 20 };
    execFile("terraform", args, options, (error, stdout, stderr) => {
      if (error !== null && (error as NodeJS.ErrnoException).code === "ENOENT") {
        reject(new Error("there is no `terraform` on the PATH, so the module could not be validated"));
      } else resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

/** A copy of the module, so that nothing of Terraform's own gets into the repository. */
const example = (): string => join(folder, "terraform", "examples", "complete");

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "firnline-terraform-"));
  await cp(MODULE, join(folder, "terraform"), { recursive: true });
  environ = {
    ...process.env,
    AWS_ACCESS_KEY_ID: "none",
    AWS_SECRET_ACCESS_KEY: "none",
    AWS_EC2_METADATA_DISABLED: "true",
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
  };
  const mirror = process.env["FIRNLINE_TEST_TERRAFORM_MIRROR"];
  if (mirror !== undefined) {
    environ["TF_CLI_CONFIG_FILE"] = join(folder, "terraform.rc");
    const from = `path = ${JSON.stringify(mirror)}\n include = ["registry.terraform.io/*/*"]`;
    await writeFile(
      join(folder, "terraform.rc"),
      `provider_installation {\n filesystem_mirror {\n ${from}\n }\n}\n`,
    );
  }
  // A plan without an account.
  const skips = [
    "credentials_validation",
    "metadata_api_check",
    "region_validation",
    "requesting_account_id",
  ];
  const lines = [`region = "eu-central-1"`, ...skips.map((what) => `skip_${what} = true`)];
  await writeFile(join(example(), "override.tf"), `provider "aws" {\n${lines.join("\n")}\n}\n`);
  const init = await terraform(
    ["init", "-input=false", "-no-color", "-backend=false"],
    example(),
    INIT_MS_MAX,
  );
  if (init.code !== 0) {
    throw new Error(
      "`terraform init` found no AWS provider, so the module could not be validated; FIRNLINE_TEST_TERRAFORM_MIRROR can " +
        `name a mirror on disk. It said:\n${init.stderr || init.stdout}`,
    );
  }
}, INIT_MS_MAX);
afterAll(async () => await rm(folder, { recursive: true, force: true }));

interface Planned {
  readonly planned_values: { readonly root_module: ModuleValues };
}
interface Statement {
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}
interface ModuleValues {
  readonly resources?: readonly { readonly address: string; readonly values: Record<string, unknown> }[];
  readonly child_modules?: readonly ModuleValues[];
}

async function plan(): Promise<Map<string, Record<string, unknown>>> {
  const made = await terraform(["plan", "-input=false", "-no-color", "-out=plan.bin"], example());
  expect(made.stderr).toBe("");
  const { stdout } = await terraform(["show", "-json", "plan.bin"], example());
  const all = ({ resources = [], child_modules = [] }: ModuleValues): [string, Record<string, unknown>][] => [
    ...resources.map(({ address, values }) => [address, values] as [string, Record<string, unknown>]),
    ...child_modules.flatMap(all),
  ];
  return new Map(all((JSON.parse(stdout) as Planned).planned_values.root_module));
}

it("is formatted as Terraform does it", async () => {
  expect(await terraform(["fmt", "-check", "-recursive", "-diff", MODULE], folder)).toMatchObject({
    code: 0,
    stdout: "",
  });
});

it("is valid", async () => {
  const { stdout, code } = await terraform(["validate", "-json"], example());
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, valid: true, diagnostics: [] });
});

describe("its plan", () => {
  let resources = new Map<string, Record<string, unknown>>();
  beforeAll(async () => void (resources = await plan()), COMMAND_MS_MAX);

  it("has the rules that `firnline lifecycle print` gave, and the example's own", async () => {
    const { rule } = resources.get("module.archive.aws_s3_bucket_lifecycle_configuration.archive") as {
      readonly rule: readonly PlannedRule[];
    };
    const { Rules } = JSON.parse(await readFile(join(example(), "lifecycle.json"), "utf8")) as {
      readonly Rules: LifecycleRule[];
    };
    const own: LifecycleRule = {
      ID: "exports",
      Status: "Enabled",
      Filter: { Prefix: "exports/" },
      Expiration: { Days: 30 },
    };
    expect(rule.map(asWritten)).toEqual([...Rules, own]);
  });

  it("lets only the collector delete, and runs that have to; and nobody write over a lock or change the bucket", async () => {
    const statementsOf = (name: string): readonly Statement[] => {
      const values = resources.get(`module.archive.aws_iam_policy.role["${name}"]`);
      return (JSON.parse(values?.["policy"] as string) as { readonly Statement: readonly Statement[] })
        .Statement;
    };
    const actionsOf = (name: string): string[] => statementsOf(name).flatMap(({ Action }) => Action);
    const deletesBelow = (name: string): unknown[] =>
      statementsOf(name).flatMap(({ Action, Resource }) =>
        [Action].flat().includes("s3:DeleteObjectVersion") ? Resource : [],
      );
    for (const name of ["exporter", "retriever", "collector"]) {
      const actions = actionsOf(name);
      expect(actions).toContain("s3:GetObjectVersion");
      expect(actions.filter((action) => /\*|Bypass|Put(?:Bucket|Lifecycle|Encryption)/.test(action))).toEqual(
        [],
      );
      expect(actions.includes("s3:DeleteObject")).toBe(name === "collector");
      expect(actions.includes("s3:RestoreObject")).toBe(name === "retriever");
    }
    const all = "arn:aws:s3:::acme-audit/firnline/*";
    expect(deletesBelow("retriever")).toEqual([]);
    expect(deletesBelow("collector")).toEqual([all]);
    // The example's policies let records expire.
    expect(deletesBelow("exporter")).toEqual(["arn:aws:s3:::acme-audit/firnline/_firnline/_probe/*", all]);
    expect(actionsOf("retriever").filter((action) => action.startsWith("s3:Put"))).toEqual([]);
  });

  it("has a bucket with versions and locks, encrypted, private, over TLS only", async () => {
    const of = (name: string): Record<string, unknown> | undefined =>
      resources.get(`module.archive.aws_s3_bucket${name}.archive`);
    expect(of("")).toMatchObject({ bucket: "acme-audit", object_lock_enabled: true });
    expect(of("_versioning")).toMatchObject({ versioning_configuration: [{ status: "Enabled" }] });
    expect(of("_server_side_encryption_configuration")).toMatchObject({
      rule: [{ apply_server_side_encryption_by_default: [{ sse_algorithm: "AES256" }] }],
    });
    expect(of("_public_access_block")).toMatchObject({
      block_public_acls: true,
      block_public_policy: true,
      ignore_public_acls: true,
      restrict_public_buckets: true,
    });
    expect(JSON.parse(of("_policy")?.["policy"] as string)).toMatchObject({
      Statement: [
        { Effect: "Deny", Action: "s3:*", Condition: { Bool: { "aws:SecureTransport": "false" } } },
      ],
    });
  });

  it.each([
    ["the whole bucket", "{}", "Expiration = { Days = 30 }"],
    ["a prefix above the archive's", '{ Prefix = "firn" }', "Expiration = { Days = 30 }"],
    [
      "old versions below it",
      '{ Prefix = "firnline/audit_logs/" }',
      "NoncurrentVersionExpiration = { NoncurrentDays = 99 }",
    ],
  ])("is refused with a rule of the owner's that removes objects: %s", async (_, filter, action) => {
    const main = join(example(), "main.tf");
    const text = await readFile(main, "utf8");
    try {
      await writeFile(
        main,
        text.replace('{ Prefix = "exports/" }', filter).replace("Expiration = { Days = 30 }", action),
      );
      const { code, stderr } = await terraform(["plan", "-input=false", "-no-color"], example());
      expect({
        code,
        isSaid: stderr.includes("would remove objects or old versions of the archive"),
      }).toEqual({
        code: 1,
        isSaid: true,
      });
    } finally {
      await writeFile(main, text);
    }
  });
});

/** As the provider writes rules: every block a list, and 0 or "" for what is not there. */
interface PlannedRule {
  readonly id: string;
  readonly status: string;
  readonly filter: readonly {
    readonly prefix: string | null;
    readonly and: readonly { readonly prefix: string; readonly tags: Readonly<Record<string, string>> }[];
  }[];
  readonly transition: readonly { readonly days: number; readonly storage_class: string }[];
  readonly expiration: readonly { readonly days: number }[];
  readonly abort_incomplete_multipart_upload: readonly { readonly days_after_initiation: number }[];
}

function asWritten({ expiration, filter, id, status, transition, ...rest }: PlannedRule): LifecycleRule {
  const [{ and: [and] = [], prefix } = { and: [], prefix: null }] = filter;
  const [abort] = rest.abort_incomplete_multipart_upload;
  const tags = Object.entries(and?.tags ?? {}).map(([Key, Value]) => ({ Key, Value }));
  return {
    ID: id,
    Status: status,
    Filter: and === undefined ? { Prefix: prefix ?? "" } : { And: { Prefix: and.prefix, Tags: tags } },
    ...(transition.length === 0
      ? {}
      : { Transitions: transition.map((one) => ({ Days: one.days, StorageClass: one.storage_class })) }),
    ...(expiration[0] === undefined ? {} : { Expiration: { Days: expiration[0].days } }),
    ...(abort === undefined
      ? {}
      : { AbortIncompleteMultipartUpload: { DaysAfterInitiation: abort.days_after_initiation } }),
  };
}
