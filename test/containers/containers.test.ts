/**
 * The main path on other people's images: Postgres 17 and an S3 server, started by testcontainers. Needs a Docker engine
 * that answers. Images are those of the public registries unless FIRNLINE_TEST_POSTGRES_IMAGE and FIRNLINE_TEST_S3_IMAGE
 * name others; the S3 image listens on FIRNLINE_TEST_S3_PORT (5000, moto's).
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CreateBucketCommand, PutBucketVersioningCommand } from "@aws-sdk/client-s3";
import { GenericContainer, type StartedTestContainer, Wait } from "testcontainers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectRetrievalComplete } from "../support/oracle.ts";
import { createDatabase } from "../support/postgres.ts";
import { clientOf, type S3Server } from "../support/s3-server.ts";
import { LAST_COLD, LAST_DUE, moved, NOTHING, Scenario } from "../support/scenario.ts";

const POSTGRES_IMAGE = process.env["FIRNLINE_TEST_POSTGRES_IMAGE"] ?? "postgres:17-alpine";
const S3_IMAGE = process.env["FIRNLINE_TEST_S3_IMAGE"] ?? "motoserver/moto:5.1.4";
const S3_PORT = Number(process.env["FIRNLINE_TEST_S3_PORT"] ?? "5000");
/** Pulling an image, and the first start of a database. */
const START_MS_MAX = 300_000;
const PASSWORD = randomBytes(12).toString("hex");

const started: StartedTestContainer[] = [];
let postgresUrl = "";
let server: S3Server;

async function start(image: string, container: GenericContainer): Promise<StartedTestContainer> {
  try {
    const running = await container.withStartupTimeout(START_MS_MAX).start();
    started.push(running);
    return running;
  } catch (error) {
    const why = (error as Error).message.split("\n")[0];
    const hint = /runtime strategy/i.test(why ?? "")
      ? "No Docker engine answers: start one, or set DOCKER_HOST"
      : `The image is ${image}; FIRNLINE_TEST_POSTGRES_IMAGE and FIRNLINE_TEST_S3_IMAGE name others`;
    throw new Error(`the containers could not be started (${why}). ${hint}.`, { cause: error });
  }
}

beforeAll(async () => {
  const postgres = await start(
    POSTGRES_IMAGE,
    new GenericContainer(POSTGRES_IMAGE)
      .withEnvironment({ POSTGRES_PASSWORD: PASSWORD })
      .withExposedPorts(5432)
      // The first server only makes the database, and listens nowhere.
      .withWaitStrategy(
        Wait.forAll([Wait.forListeningPorts(), Wait.forLogMessage(/database system is ready/)]),
      ),
  );
  postgresUrl = `postgres://postgres:${PASSWORD}@${postgres.getHost()}:${postgres.getMappedPort(5432)}/postgres`;
  const s3 = await start(
    S3_IMAGE,
    new GenericContainer(S3_IMAGE).withExposedPorts(S3_PORT).withWaitStrategy(Wait.forListeningPorts()),
  );
  const environ = {
    AWS_ACCESS_KEY_ID: "containers",
    AWS_SECRET_ACCESS_KEY: "containers",
    AWS_REGION: "us-east-1",
    AWS_EC2_METADATA_DISABLED: "true",
  };
  Object.assign(process.env, environ);
  server = {
    name: "moto",
    title: S3_IMAGE,
    endpoint: `http://${s3.getHost()}:${s3.getMappedPort(S3_PORT)}`,
    region: environ.AWS_REGION,
    accessKeyId: environ.AWS_ACCESS_KEY_ID,
    secretAccessKey: environ.AWS_SECRET_ACCESS_KEY,
    environ,
  } as Partial<S3Server> as S3Server;
}, START_MS_MAX);

afterAll(async () => {
  await Promise.all(started.map(async (container) => await container.stop()));
}, START_MS_MAX);

/** A bucket with versions. */
async function newBucket(): Promise<string> {
  const Bucket = `containers-${randomBytes(6).toString("hex")}`;
  const client = clientOf(server);
  try {
    await client.send(new CreateBucketCommand({ Bucket }));
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    return Bucket;
  } finally {
    client.destroy();
  }
}

describe("the main path on containers", () => {
  it(
    "moves rows from hot to warm and cold, and gives every one of them back",
    async () => {
      const archive = { server, bucket: await newBucket() };
      const tiers = { cold: { storageClass: "GLACIER", transition: "copy", objectBytesMin: "0B" } };
      await using database = await createDatabase(postgresUrl);
      await using scenario = await Scenario.on(database, { archive, tiers });
      await scenario.prepare();
      await scenario.insert(auditRows(LAST_COLD, 1, 200));
      await scenario.insert(auditRows(LAST_DUE, 1_001, 200));
      await scenario.insert(auditRows("2026-02-20", 2_001, 60));
      const [{ server_version: version } = {}] = await scenario.query("SHOW server_version");
      expect(version).toMatch(/^17\./);

      await using doctor = scenario.spawn(["doctor"]);
      expect(await doctor.ended).toMatchObject({ code: 0, stderr: "" });
      await using run = scenario.spawnRun();
      expect(await run.ended).toMatchObject({ code: 0, stderr: "" });
      expect(await scenario.count()).toBe(60);

      // The server refuses to read what is cold until a restored copy is there.
      const out = join(scenario.folder, "march.csv");
      const range = ["--from", LAST_COLD, "--to", "2026-02-28", "--out", out];
      await using retrieval = scenario.spawn(["retrieve", "audit-logs", ...range, "--yes"]);
      expect(await retrieval.ended).toMatchObject({ code: 0 });
      expect((await readFile(out, "utf8")).split("\n").filter((line) => line !== "")).toHaveLength(461);
      await expectRetrievalComplete(scenario);
      expect(moved(await scenario.run())).toEqual(NOTHING);
    },
    START_MS_MAX,
  );
});
