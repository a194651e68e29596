/**
 * Real S3 servers for tests: Ceph radosgw and moto, started once a test run, when the first suite asks. Each test takes
 * a bucket of its own, so that none can meet another; buckets are cheap and go with the server.
 *
 *     await describeOn("ceph", "lifecycle", (server) => {
 *       test("...", async () => {
 *         const bucket = await server.newBucket({ versioned: true });
 *         await using scenario = await Scenario.create({ archive: { server, bucket } });
 *       });
 *     });
 *
 * Where no server is to be had (see `s3-broker.ts` for where they come from), the suite is one skipped test that says
 * why, and that fails `npm run test:s3`. What a server was seen to do goes into the table that this command prints:
 * `saw(server, "...", "...")`.
 */
import { randomBytes } from "node:crypto";
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from "@aws-sdk/client-s3";
import { describe, test, TestRunner } from "vitest";
import { brokerAddress } from "./broker-address.ts";

export type S3ServerName = "ceph" | "moto";

/** What is told of a running server, as the broker answers it. */
export interface S3Address {
  readonly name: S3ServerName;
  /** For people: `Ceph 16.2.15`. */
  readonly title: string;
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Seconds that count as a day of a lifecycle rule; null where such rules do not run. */
  readonly lifecycleDaySeconds: number | null;
}

/**
 * What a server cannot do, of what S3 does. Tests that need it ask here, say so in the table, and check the opposite
 * where that means something; they are not skipped.
 */
export interface S3Abilities {
  /** Checks who asks. */
  readonly signatures: boolean;
  /** RestoreObject; and a GET of an object in a cold class is refused until then. */
  readonly restores: boolean;
  /** A wrong Content-MD5 is refused. */
  readonly checksums: boolean;
  /** Lifecycle rules run, with days of `lifecycleDaySeconds`. */
  readonly lifecycle: boolean;
}

const ABILITIES: Readonly<Record<S3ServerName, S3Abilities>> = {
  ceph: { signatures: true, restores: false, checksums: true, lifecycle: true },
  moto: { signatures: false, restores: true, checksums: false, lifecycle: false },
};

export interface BucketOptions {
  readonly versioned?: boolean;
  /** With Object Lock, which includes versions. */
  readonly locked?: boolean;
}

export interface S3Server extends S3Address {
  readonly can: S3Abilities;
  /** Credentials for a process of its own: put them into its environment. This process has them already. */
  readonly environ: Readonly<Record<string, string>>;
  /** An empty bucket; returns its name. */
  newBucket(options?: BucketOptions): Promise<string>;
}

/** What a test's own client asks for, made for servers that know no trailing checksums. `destroy` it at the end. */
export function clientOf(server: S3Address): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

const answers = new Map<S3ServerName, Promise<S3Address | { readonly reason: string }>>();

/** The run's server of that name; throws where none is to be had. Sets this process's AWS_* for it. */
export async function s3Server(name: S3ServerName): Promise<S3Server> {
  const answer = await askBroker(name);
  if ("reason" in answer) throw new Error(`no ${name} for this test run: ${answer.reason}`);
  const environ = {
    AWS_ACCESS_KEY_ID: answer.accessKeyId,
    AWS_SECRET_ACCESS_KEY: answer.secretAccessKey,
    AWS_REGION: answer.region,
    AWS_EC2_METADATA_DISABLED: "true",
  };
  Object.assign(process.env, environ);
  return {
    ...answer,
    can: ABILITIES[name],
    environ,
    newBucket: async (options) => await newBucketOn(answer, options),
  };
}

/** Declares a suite on the run's server, or one skipped test with the reason why there is none. Await it. */
export async function describeOn(
  name: S3ServerName,
  title: string,
  declare: (server: S3Server) => void,
): Promise<void> {
  const answer = await askBroker(name);
  if ("reason" in answer) declareSkipped(`${title} on ${name} // ${answer.reason}`);
  else declareSuite(`${title} on ${answer.title}`, declare, await s3Server(name));
}

function declareSkipped(title: string): void {
  test.skip(`${title}`, () => {});
}

function declareSuite(title: string, declare: (server: S3Server) => void, server: S3Server): void {
  describe(`${title}`, () => {
    declare(server);
  });
}

declare module "vitest" {
  interface TaskMeta {
    /** What the test saw of a server, for the table. */
    s3?: { readonly server: S3ServerName; readonly capability: string; readonly seen: string }[];
  }
}

/** A line of the table capability x server, counted only if the test that saw it passes. Call it in a test. */
export function saw(server: Pick<S3Address, "name">, capability: string, seen = "yes"): void {
  const task = TestRunner.getCurrentTest();
  if (task === undefined) throw new Error("saw() was called outside of a test");
  (task.meta.s3 ??= []).push({ server: server.name, capability, seen });
}

export async function newBucketOn(address: S3Address, options: BucketOptions = {}): Promise<string> {
  const { versioned = false, locked = false } = options;
  const Bucket = `test-${randomBytes(8).toString("hex")}`;
  const client = clientOf(address);
  try {
    await client.send(
      new CreateBucketCommand({ Bucket, ...(locked ? { ObjectLockEnabledForBucket: true } : {}) }),
    );
    if (versioned && !locked) {
      const VersioningConfiguration = { Status: "Enabled" } as const;
      await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    }
    return Bucket;
  } finally {
    client.destroy();
  }
}

async function askBroker(name: S3ServerName): Promise<S3Address | { readonly reason: string }> {
  let answer = answers.get(name);
  if (answer === undefined) {
    answer = ask(name);
    answers.set(name, answer);
  }
  return await answer;
}

/** Installing a server takes minutes, so the broker says "not yet" and is asked again. */
async function ask(name: S3ServerName): Promise<S3Address | { readonly reason: string }> {
  while (true) {
    const response = await fetch(brokerAddress(`s3/${name}`));
    if (response.status !== 202) return (await response.json()) as S3Address | { readonly reason: string };
    await response.body?.cancel();
  }
}
