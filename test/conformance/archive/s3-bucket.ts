/** Archives in buckets of the run's servers, each test's below a prefix of its own. */
import { randomBytes } from "node:crypto";
import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { Archive } from "../../../src/archive/port.ts";
import { openS3Archive } from "../../../src/archive/s3/s3-archive.ts";
import { readSettings } from "../../../src/config.ts";
import { parsePolicy, type Policy } from "../../../src/policy/policy.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import { systemClock } from "../../../src/wiring.ts";
import type { S3Address } from "../../support/s3-server.ts";
import type { ArchiveHarness } from "./harness.ts";

type Changes = Readonly<Record<string, unknown>>;

/** A policy whose archive is in this bucket. */
export function bucketPolicy(
  server: S3Address,
  bucket: string,
  archive: Changes = {},
  tiers: Changes = {},
): Policy {
  const { endpoint, region } = server;
  const policy = {
    version: 1,
    pipeline: "audit_logs",
    source: { connection: "DATABASE_URL", table: "public.audit_logs", time: "ts" },
    archive: { url: `s3://${bucket}/firnline`, endpoint, region, ...archive },
    tiers: { hot: { keep: "30d" }, warm: { keep: "60d" }, ...tiers },
  };
  return parsePolicy(JSON.stringify(policy), "audit-logs.yaml");
}

export interface OpenOptions {
  readonly archive?: Changes;
  readonly tiers?: Changes;
  /** `FIRNLINE_S3_*` */
  readonly environ?: Readonly<Record<string, string>>;
  readonly now?: () => number;
}

export function openBucket(server: S3Address, bucket: string, options: OpenOptions = {}): Archive {
  const environ = { FIRNLINE_S3_PAUSE_MS: "50", FIRNLINE_S3_PART_MIB: "5", ...options.environ };
  const { now } = options;
  return openS3Archive({
    policy: bucketPolicy(server, bucket, options.archive, options.tiers),
    limits: readSettings(environ).s3,
    now: now === undefined ? systemClock.now : () => now() as EpochMs,
    random: (bytes) => randomBytes(bytes),
    sleep: systemClock.sleep,
  });
}

/** Uploads that nobody completed or ended. */
export async function unfinishedUploads(client: S3Client, bucket: string, prefix = ""): Promise<string[]> {
  const { Uploads = [] } = await client.send(
    new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }),
  );
  return Uploads.map(({ Key = "" }) => Key);
}

export function bucketHarness(server: S3Address, client: S3Client, bucket: string): ArchiveHarness {
  const prefix = `t-${randomBytes(6).toString("hex")}`;
  const archive = openBucket(server, bucket, { archive: { url: `s3://${bucket}/${prefix}` } });
  return {
    archive,
    restoreDelayMs: 0,
    now: systemClock.now,
    advance: () => {},
    corrupt: async (key, change) => {
      const object = { Bucket: bucket, Key: `${prefix}/${key}` };
      const { Body } = await client.send(new GetObjectCommand(object));
      const changed = change((await Body?.transformToByteArray()) ?? new Uint8Array(0));
      await client.send(new PutObjectCommand({ ...object, Body: changed }));
    },
    leftovers: async () => await unfinishedUploads(client, bucket, `${prefix}/`),
    dispose: async () => await archive[Symbol.asyncDispose](),
  };
}
