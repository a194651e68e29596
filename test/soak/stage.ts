/** What the soak plays on: a Postgres 18 on disk, source 1's table with roles of its own, a policy, an archive. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from "@aws-sdk/client-s3";
import pg from "pg";
import { readSettings, type Settings } from "../../src/config.ts";
import { startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { parsePolicy } from "../../src/policy/policy.ts";
import { migrateDatabase } from "../../src/wiring.ts";
import { AUDIT_LOGS } from "../support/audit-rows.ts";
import { FirnlineProcess } from "../support/firnline-process.ts";
import { runAlone } from "../support/postgres.ts";
import { GrantedRoles, type Role, roleFor } from "../support/roles.ts";
import { startCeph } from "../support/s3-ceph.ts";
import type { PeakMemory } from "./footprint.ts";

/** A few chunks, row groups and batches a day, though a day has little more than a thousand rows. */
const SIZES = {
  FIRNLINE_CHUNK_ROWS: "200",
  FIRNLINE_ROW_GROUP_ROWS: "400",
  FIRNLINE_PRUNE_CHUNKS: "2",
} as const;
const BUCKET = "soak";

type Environ = Readonly<Record<string, string>>;

export class Stage implements AsyncDisposable {
  readonly folder: string;
  readonly version: string;
  readonly adminUrl: string;
  readonly #roles: GrantedRoles;
  readonly #environ: Environ;
  readonly #policy: string;
  readonly #memory: PeakMemory;
  readonly #stack: AsyncDisposableStack;
  readonly #kept: { isKept: boolean };

  private constructor(
    stack: AsyncDisposableStack,
    made: {
      kept: { isKept: boolean };
      folder: string;
      version: string;
      adminUrl: string;
      roles: GrantedRoles;
      environ: Environ;
      policy: string;
      memory: PeakMemory;
    },
  ) {
    this.#stack = stack;
    this.#kept = made.kept;
    this.folder = made.folder;
    this.version = made.version;
    this.adminUrl = made.adminUrl;
    this.#roles = made.roles;
    this.#environ = made.environ;
    this.#policy = made.policy;
    this.#memory = made.memory;
  }

  static async set(archive: "folder" | "s3", memory: PeakMemory): Promise<Stage> {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "firnline-soak-"));
    const kept = { isKept: false };
    stack.defer(async () => {
      if (!kept.isKept) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    // The product refuses a server that does not wait for the disk.
    const server = stack.use(await startEmbeddedPostgres({ durable: true }));
    const adminUrl = server.url();
    const client = new pg.Client(adminUrl);
    await client.connect();
    const { rows } = await client
      .query(`${AUDIT_LOGS}; SELECT current_setting('server_version') AS version`)
      .then((results) => (results as unknown as pg.QueryResult[]).at(-1) as pg.QueryResult);
    await client.end();
    await migrateDatabase(adminUrl, readSettings({}));
    const database = new URL(adminUrl).pathname.slice(1);
    const roles = await GrantedRoles.on(adminUrl, database, "public.audit_logs");
    const place = archive === "s3" ? await newBucket(stack) : null;
    const policy = policyText(folder, place?.endpoint ?? null);
    await mkdir(join(folder, "pipelines"));
    await writeFile(join(folder, "pipelines", "audit-logs.yaml"), policy);
    const compiled = join(folder, "compiled");
    process.env["NODE_COMPILE_CACHE"] = compiled;
    const environ = { ...SIZES, ...place?.environ };
    const made = { kept, folder, version: String(rows[0].version), adminUrl, roles, environ, policy, memory };
    return new Stage(stack.move(), made);
  }

  /** The folder stays, with the archive and the answers that were wrong. */
  keep(): void {
    this.#kept.isKept = true;
  }

  url(role: Role): string {
    return this.#roles.url(this.adminUrl, role);
  }

  /** `firnline COMMAND` as a process of its own, with the role that the command is for. */
  spawn(args: readonly string[], environ: Environ = {}): FirnlineProcess {
    const command = args[0] as string;
    const role = roleFor(command);
    const DATABASE_URL = role === null ? this.adminUrl : this.url(role);
    const child = new FirnlineProcess([...args, "--folder", join(this.folder, "pipelines")], {
      DATABASE_URL,
      ...this.#environ,
      ...environ,
    });
    this.#memory.watch(child.pid, command);
    void child.ended.finally(() => this.#memory.forget(child.pid));
    return child;
  }

  /** A pipeline in this process, as programs have one. */
  open(role: Role): Pipeline {
    Object.assign(process.env, this.#environ);
    const policy = parsePolicy(this.#policy, "audit-logs.yaml");
    const settings: Settings = readSettings(this.#environ);
    return new Pipeline({ policy, connectionString: this.url(role), settings });
  }

  /** What `collect` has seen of garbage, it has seen two weeks ago. */
  async ageGarbage(): Promise<void> {
    await runAlone(this.adminUrl, "UPDATE firnline.garbage SET first_seen = first_seen - interval '15 days'");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function policyText(folder: string, endpoint: string | null): string {
  const archive =
    endpoint === null
      ? { url: pathToFileURL(join(folder, "archive")).href }
      : { url: `s3://${BUCKET}/firnline`, endpoint, region: "us-east-1" };
  // Ceph restores nothing: there everything stays warm.
  const cold = endpoint === null ? { cold: { storageClass: "DEEP_ARCHIVE", keep: "forever" } } : {};
  const policy = {
    version: 1,
    pipeline: "audit_logs",
    source: { connection: "DATABASE_URL", table: "public.audit_logs", time: "ts" },
    archive,
    tiers: { hot: { keep: "2d" }, warm: { keep: "8d" }, ...cold },
  };
  return `${JSON.stringify(policy, null, 2)}\n`;
}

async function newBucket(stack: AsyncDisposableStack): Promise<{ endpoint: string; environ: Environ }> {
  const ceph = await startCeph();
  if (ceph === null) throw new Error("--archive s3 takes ceph-mon, ceph-osd and radosgw on the PATH");
  stack.use(ceph);
  const { endpoint, region, accessKeyId, secretAccessKey } = ceph.address;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: "WHEN_REQUIRED",
  });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  await client.send(
    new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration: { Status: "Enabled" } }),
  );
  client.destroy();
  const AWS = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: region };
  return { endpoint, environ: { ...AWS, AWS_EC2_METADATA_DISABLED: "true" } };
}
