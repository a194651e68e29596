/** A vault of S3 Glacier as the cold tier: upload, retrieval jobs, expiry, and what a crash leaves. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import {
  CreateVaultCommand,
  DescribeVaultCommand,
  GlacierClient,
  ListJobsCommand,
} from "@aws-sdk/client-glacier";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { vaultArchiveOf } from "../../src/archive/vault-locator.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RetrieveResult } from "../../src/retrieve/retrieve-range.ts";
import type { RestoreTerms } from "../../src/retrieve/restore-quote.ts";
import {
  COLD_DAYS,
  coldHeads,
  createColdDays,
  createDays,
  restoreRows,
  wired,
} from "../support/cold-days.ts";
import { clientOf, describeOn, saw, type S3Server } from "../support/s3-server.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";
import { expectNothingStranded, strandedIn } from "../support/stranded.ts";

const RANGE = parseRange("2025-12-01", "2026-02-28");

await describeOn("moto", "a vault", (server) => {
  test("takes cold segments, gives their rows back after a job, and lets them expire", async () => {
    await using own = await vaulted(server);
    const { bucket, scenario, vault } = own;
    expect(await archivesOf(own)).toBe(3);
    const rows = await scenario.query(
      "SELECT version_id, storage_class, bytes::text FROM firnline.segment WHERE state = 'cold' ORDER BY day_from",
    );
    expect(rows).toHaveLength(3);
    for (const row of rows) {
      expect(row["storage_class"]).toBe("GLACIER_VAULT");
      expect(vaultArchiveOf({ versionId: row["version_id"] as string })).toMatchObject({
        vault,
        bytes: BigInt(row["bytes"] as string),
      });
    }
    // What is in the vault is in the bucket no more: the warm day and the manifests are.
    const s3 = clientOf(server);
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    s3.destroy();
    expect(Contents.filter(({ Key }) => Key?.endsWith(".parquet"))).toHaveLength(1);
    expect(await findings(scenario)).toEqual([]);
    expect(moved(await scenario.run())).toEqual(NOTHING);

    await expect(retrieve(scenario, {})).rejects.toMatchObject({
      code: "E_INPUT",
      problem: expect.stringContaining("in GLACIER_VAULT) must be restored first"),
    });
    expect(await jobsOf(own)).toBe(0);
    const result = await retrieve(scenario, { allow: "any", tier: "Expedited" });
    expect(result).toMatchObject({ rows: 300n, restored: 3, rowsFrom: { hot: 60n, warm: 60n, cold: 180n } });
    expect(await retrieve(scenario, {})).toMatchObject({ rows: 300n, restored: 0, sha256: result.sha256 });
    expect(await jobsOf(own)).toBe(3);
    expect((await restoreRows(scenario)).map((row) => row["state"])).toEqual([
      "readable",
      "readable",
      "readable",
    ]);
    expect(await findings(scenario, true)).toEqual([]);
    saw(server, "vault", "upload, retrieval job, verified");

    await using expiring = await Scenario.over(scenario, {
      tiers: { cold: { ...COLD(vault), keep: "90d" } },
    });
    expect((await expiring.run({ asOf: "2026-04-15", confirmSooner: true })).failures).toEqual([]);
    // The day that was warm has gone there meanwhile.
    expect(await archivesOf(own)).toBe(1);
    const states =
      "SELECT day_from::text AS day, state FROM firnline.segment WHERE state <> 'warm' ORDER BY day_from";
    expect((await expiring.query(states)).map((row) => `${row["day"]} ${row["state"]}`)).toEqual([
      ...COLD_DAYS.map((day) => `${day} expired`),
      "2026-01-20 cold",
    ]);
    await expectOnlyKnown(own);
    saw(server, "vault: expire", "archives removed");
  });

  test("is waited for again by the same command after a kill, and its jobs are begun once", async () => {
    await using own = await vaulted(server);
    const { scenario } = own;
    const out = join(scenario.folder, "answer.ndjson");
    const args = ["retrieve", "audit-logs", "--from", "2025-12-01", "--to", "2026-02-28", "--out", out];
    {
      await using first = scenario.spawn([...args, "--yes"]);
      await expect.poll(async () => await jobsOf(own), { timeout: 30_000 }).toBe(3);
      first.signal("SIGKILL");
      expect(await first.ended).toMatchObject({ signal: "SIGKILL" });
    }
    await using second = scenario.spawn(args);
    const { code, stdout, stderr } = await second.ended;
    expect({ code, stderr: stderr.includes("E_") }).toEqual({ code: 0, stderr: false });
    expect(stdout).toContain(": 300 rows, ");
    expect(await jobsOf(own)).toBe(3);
    expect(await restoreRows(scenario)).toHaveLength(3);

    // The journal names the archives: a catalog made anew reads the same, and joins the same copies.
    await using pipeline = scenario.open();
    await pipeline.rebuildCatalog({ isConfirmed: true });
    expect(await retrieve(scenario, {})).toMatchObject({ rows: 300n, restored: 0 });
    expect(await jobsOf(own)).toBe(3);
    expect(await findings(scenario)).toEqual([]);
    await expectOnlyKnown(own);
  });

  test("keeps what was uploaded before a crash: the next run takes it, and the bucket's object goes", async () => {
    const bucket = await server.newBucket();
    const vault = await newVault(server);
    await using again = await createDays({ archive: { server, bucket }, tiers: { cold: COLD(vault) } });
    const own = { server, vault };
    const FIRNLINE_FAILPOINT = "transition.moved:error";
    expect(await again.failuresOf({ environ: { FIRNLINE_FAILPOINT } })).toMatchObject([
      { code: "E_INTERNAL" },
    ]);
    expect(await archivesOf(own)).toBe(1);
    expect((await again.run()).failures).toEqual([]);
    expect(await archivesOf(own)).toBe(3);
    await using wires = wired(again, {});
    for (const { access, storageClass } of await coldHeads(wires)) {
      expect([storageClass, access.state]).toEqual(["GLACIER_VAULT", "archived"]);
    }
    await using pipeline = again.open();
    expect(await pipeline.collect()).toMatchObject({
      removed: { objects: 0 },
      waiting: { objects: 0 },
      foreign: 0,
    });
    await expectOnlyKnown({ server, bucket, scenario: again });
  });

  test("is looked at by doctor: missing, or there with a word about its future", async () => {
    const bucket = await server.newBucket({ versioned: true });
    const none = `none-${randomBytes(4).toString("hex")}`;
    await using scenario = await Scenario.create({
      archive: { server, bucket },
      tiers: { cold: COLD(none) },
    });
    await using pipeline = scenario.open();
    expect((await pipeline.doctor()).findings).toMatchObject([
      { code: "E_BUCKET", subject: `vault ${none}` },
    ]);
    const vault = await newVault(server);
    await using other = await Scenario.over(scenario, { tiers: { cold: COLD(vault) } });
    await using sound = other.open();
    const { advice, findings: none_ } = await sound.doctor();
    expect(none_).toEqual([]);
    expect(advice).toContainEqual(expect.objectContaining({ code: "A_BUCKET", subject: `vault ${vault}` }));
    const s3 = clientOf(server);
    expect(await strandedIn(s3, bucket, { journal: [] })).toEqual([]);
    s3.destroy();
  });
});

async function expectOnlyKnown({ server, bucket, scenario }: Omit<Vaulted, "vault">): Promise<void> {
  const s3 = clientOf(server);
  await expectNothingStranded(scenario, s3, bucket);
  s3.destroy();
}

const COLD = (vault: string): Record<string, unknown> => ({ vault, objectBytesMin: "0B" });

interface Vaulted {
  readonly server: S3Server;
  readonly bucket: string;
  readonly scenario: Scenario;
  readonly vault: string;
}

async function vaulted(server: S3Server) {
  const bucket = await server.newBucket();
  const vault = await newVault(server);
  const scenario = await createColdDays({ archive: { server, bucket }, tiers: { cold: COLD(vault) } });
  return {
    bucket,
    scenario,
    server,
    vault,
    [Symbol.asyncDispose]: async () => await scenario[Symbol.asyncDispose](),
  };
}

async function newVault(server: S3Server): Promise<string> {
  const vaultName = `vault-${randomBytes(8).toString("hex")}`;
  await asked(server, async (client) => client.send(new CreateVaultCommand({ accountId: "-", vaultName })));
  return vaultName;
}

async function archivesOf({ server, vault }: Pick<Vaulted, "server" | "vault">): Promise<number> {
  return await asked(server, async (client) => {
    const found = await client.send(new DescribeVaultCommand({ accountId: "-", vaultName: vault }));
    return found.NumberOfArchives ?? 0;
  });
}

async function jobsOf({ server, vault }: Pick<Vaulted, "server" | "vault">): Promise<number> {
  return await asked(server, async (client) => {
    const { JobList = [] } = await client.send(new ListJobsCommand({ accountId: "-", vaultName: vault }));
    return JobList.length;
  });
}

async function asked<T>(server: S3Server, work: (client: GlacierClient) => Promise<T>): Promise<T> {
  const { accessKeyId, endpoint, region, secretAccessKey } = server;
  const client = new GlacierClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } });
  try {
    return await work(client);
  } finally {
    client.destroy();
  }
}

async function retrieve(scenario: Scenario, restore: RestoreTerms): Promise<RetrieveResult> {
  await using pipeline = scenario.open();
  const out = join(scenario.folder, "answer.ndjson");
  return await pipeline.retrieve(RANGE, { out, requestedBy: "alice", restore });
}

async function findings(scenario: Scenario, deep = false): Promise<unknown[]> {
  await using pipeline = scenario.open();
  const found: unknown[] = [];
  await pipeline.verify({ deep, onFinding: (finding) => found.push(finding) });
  return found;
}
