/** The SDK's client as we use it: what goes over the wire, what is tried again, and what a refusal means. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openMemoryArchive } from "../../../src/archive/memory/memory-archive.ts";
import { type Archive, VAULT_CLASS } from "../../../src/archive/port.ts";
import { readBytes } from "../../../src/archive/read-object.ts";
import { openGlacierVault } from "../../../src/archive/vault/glacier-vault.ts";
import { openVaultedArchive } from "../../../src/archive/vault/vaulted-archive.ts";
import type { Vault } from "../../../src/archive/vault/vault.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import { GlacierHttp } from "../../support/glacier-http.ts";
import { MemoryVault } from "../../support/memory-vault.ts";

const MIB = 1 << 20;
const WHERE = { op: "archive.test", key: "a/key" };
const LIMITS = {
  connectMs: 2_000,
  answerMs: 5_000,
  silenceMs: 2_000,
  sockets: 4,
  attemptsMax: 3,
  pauseMsMax: 1,
};

let held: MemoryVault;
let http: GlacierHttp;
let vault: Vault;

beforeEach(async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" });
  held = new MemoryVault("examplevault");
  http = await GlacierHttp.over(held);
  vault = open();
});
afterEach(async () => {
  delete process.env["AWS_SESSION_TOKEN"];
  await vault[Symbol.asyncDispose]();
  await http[Symbol.asyncDispose]();
});

function open(limits: Partial<typeof LIMITS> = {}): Vault {
  return openGlacierVault({
    name: "examplevault",
    region: "us-east-1",
    endpoint: http.endpoint,
    limits: { ...LIMITS, ...limits },
    random: (count) => randomBytes(count),
    sleep: async () => {},
  });
}

const refuse = (status: number, code: string) => () => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ code, type: "Client", message: `this is ${code}` }),
});

describe("an archive in parts", () => {
  it("goes up part by part with tree hashes, and its output comes back by ranges", async () => {
    const now = (): EpochMs => Date.now() as EpochMs;
    const inner = openMemoryArchive({
      now,
      random: (count) => randomBytes(count),
      restoreDelayMs: 0,
      versioned: true,
    });
    const archive: Archive = openVaultedArchive({
      inner,
      openVault: () => vault,
      target: "examplevault",
      now,
      sizes: { wholeBytesMax: MIB, partBytesMin: 2 * MIB },
    });
    const bytes = randomBytes(5 * MIB + 123);
    const created = await archive.create(WHERE.key, bytes);
    if (created.outcome !== "created") throw new Error("it exists");
    await archive.setClass(created.pin, VAULT_CLASS);
    const [[archiveId, stored]] = [...held.archives] as [
      [string, { description: string; bytes: Uint8Array }],
    ];
    expect(stored.description).toBe(WHERE.key);
    expect(Buffer.compare(stored.bytes, bytes)).toBe(0);
    const requests = http.seen.map((what) => what.replace(/uploads\/.*/, "uploads/ID"));
    const at = "/-/vaults/examplevault/multipart-uploads";
    expect(requests).toEqual([
      `GET ${at}`,
      `POST ${at}`,
      `PUT ${at}/ID`,
      `PUT ${at}/ID`,
      `PUT ${at}/ID`,
      `POST ${at}/ID`,
    ]);

    await held.retrieve(WHERE, archiveId, "Standard");
    const job = held.jobList[0]?.jobId as string;
    for (const [start, end] of [
      [0, 2 * MIB],
      [MIB, bytes.length],
      [5, 1_000_005],
    ] as const) {
      const output = await vault.output(WHERE, job, start, end);
      expect([output.isWhole, output.treeHash !== null]).toEqual([false, start % MIB === 0]);
      const read = { read: () => output.body };
      expect(
        Buffer.compare(await readBytes(read, created.pin, { start, end }), bytes.subarray(start, end)),
      ).toBe(0);
    }
    await vault.beginUpload(WHERE, "left over", MIB);
    const left = await Array.fromAsync(vault.uploads(WHERE));
    expect(left).toMatchObject([{ description: "left over", createdAt: expect.any(Number) }]);
    await vault.abortUpload(WHERE, left[0]?.uploadId as string);
    expect(held.unfinished.size).toBe(0);
  });
});

describe("a refusal", () => {
  it.each([
    [403, "AccessDeniedException", "E_ARCHIVE", "Allow glacier:DescribeVault on this vault", 1],
    [403, "NoLongerSupportedException", "E_BUCKET", "Name a storageClass instead of tiers.cold.vault", 1],
    [400, "LimitExceededException", "E_CAPACITY", "Raise the limit at AWS", 1],
    [400, "ThrottlingException", "E_ARCHIVE", "Run again later", 3],
    [500, "ServiceUnavailableException", "E_ARCHIVE", "Run again later", 3],
    [408, "RequestTimeoutException", "E_ARCHIVE", "Check the network", 3],
    [400, "InvalidParameterValueException", "E_ARCHIVE", "Look at the vault's answer", 1],
  ])("%d %s is %s, with a hint", async (status, name, code, hint, tries) => {
    http.instead = refuse(status, name);
    await expect(vault.describe(WHERE)).rejects.toMatchObject({
      code,
      hint: expect.stringContaining(hint),
      problem: expect.stringContaining(`vault examplevault: ${status} ${name}`),
      retryable: tries > 1,
    });
    expect(http.seen).toHaveLength(tries);
  });

  it("of what is not there is no vault, no archive to remove, and a missing object to restore", async () => {
    http.instead = refuse(404, "ResourceNotFoundException");
    expect(await vault.describe(WHERE)).toBeNull();
    await vault.remove(WHERE, "gone");
    await vault.abortUpload(WHERE, "gone");
    await expect(vault.retrieve(WHERE, "gone", "Standard")).rejects.toMatchObject({
      code: "E_ARCHIVE",
      problem: expect.stringContaining("there is no such object in the archive"),
    });
  });

  it("that comes as a broken connection is not answered by a second job, or a second archive", async () => {
    http.instead = () => "hang up";
    await expect(vault.retrieve(WHERE, "id", "Standard")).rejects.toMatchObject({ retryable: true });
    expect(http.seen).toHaveLength(1);
    const archive = { description: "x", bytes: new Uint8Array(1), treeHash: "0".repeat(64) };
    await expect(vault.upload(WHERE, archive)).rejects.toMatchObject({ retryable: true });
    expect(http.seen).toHaveLength(2);
    await expect(vault.describe(WHERE)).rejects.toMatchObject({ retryable: true });
    expect(http.seen).toHaveLength(5);
  });

  it("of uploads in parts, by a server that has none, means that there are none", async () => {
    http.instead = () => ({ status: 404, body: "404 Not Found" });
    expect(await Array.fromAsync(vault.uploads(WHERE))).toEqual([]);
  });
});

describe("an answer", () => {
  it("that begins and does not end is left in time, and asked for again", async () => {
    await using hasty = open({ answerMs: 100 });
    http.instead = () => "hang";
    await expect(hasty.describe(WHERE)).rejects.toMatchObject({
      code: "E_ARCHIVE",
      retryable: true,
      problem: expect.stringContaining("did not answer in time"),
    });
    expect(http.seen).toHaveLength(LIMITS.attemptsMax);
  });

  it("that has no end is left too (I10)", async () => {
    http.instead = () => ({ status: 200, body: `{"VaultName": "${"x".repeat(17 * MIB)}"}` });
    await expect(vault.describe(WHERE)).rejects.toMatchObject({ code: "E_ARCHIVE", retryable: true });
  });

  it("that repeats the request does not give its credentials away", async () => {
    const token = "FwoGZXIvYXdzEXAMPLE/session+token==";
    process.env["AWS_SESSION_TOKEN"] = token;
    const canonical = `The Canonical String should have been x-amz-security-token:${token}`;
    const { body, ...rest } = refuse(403, "InvalidSignatureException")();
    http.instead = () => ({ ...rest, body: body.replace("this is", canonical) });
    await using own = open();
    const failure = (await own.describe(WHERE).then(null, (error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: "E_ARCHIVE", hint: expect.stringContaining("AWS_PROFILE") });
    const told = [failure, failure.cause as Error].flatMap(({ message, stack }) => [message, stack]).join();
    expect(told).toContain("x-amz-security-token:***");
    expect(told).not.toContain(token);
  });
});

describe("a listing", () => {
  const job = (JobId: string, RetrievalByteRange: string | null) => ({
    Action: "ArchiveRetrieval",
    ArchiveId: "a",
    ArchiveSizeInBytes: 3 * MIB,
    JobId,
    RetrievalByteRange,
    StatusCode: "InProgress",
  });
  const pages = (...bodies: readonly object[]): void => {
    const left = [...bodies];
    http.instead = () => ({ status: 200, body: JSON.stringify(left.shift() ?? bodies.at(-1)) });
  };

  it("of jobs has all pages, and only those that give out a whole archive", async () => {
    pages(
      { JobList: [job("whole", `0-${3 * MIB - 1}`), job("a part", `0-${MIB - 1}`)], Marker: "more" },
      { JobList: [job("the rest", `${MIB}-${3 * MIB - 1}`), job("of a server without ranges", null)] },
    );
    expect((await vault.jobs(WHERE)).map(({ jobId }) => jobId)).toEqual([
      "whole",
      "of a server without ranges",
    ]);
  });

  it("that goes in circles is an error", async () => {
    pages({ JobList: [], UploadsList: [], Marker: "again" });
    const problem = expect.stringContaining("there is more, and not where it goes on");
    await expect(vault.jobs(WHERE)).rejects.toMatchObject({ code: "E_ARCHIVE", problem });
    await expect(Array.fromAsync(vault.uploads(WHERE))).rejects.toMatchObject({ problem });
  });
});
