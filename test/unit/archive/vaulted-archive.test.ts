/** A vault behind the archive port: what is uploaded is what was sealed, is uploaded once, and is asked for once. */
import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { type MemoryArchive, openMemoryArchive } from "../../../src/archive/memory/memory-archive.ts";
import { type Archive, type Locator, type Pin, VAULT_CLASS } from "../../../src/archive/port.ts";
import { readBytes } from "../../../src/archive/read-object.ts";
import { vaultArchiveOf } from "../../../src/archive/vault-locator.ts";
import { partBytesOf } from "../../../src/archive/vault/upload-object.ts";
import { openVaultedArchive } from "../../../src/archive/vault/vaulted-archive.ts";
import { FirnlineError } from "../../../src/errors.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import { MemoryVault } from "../../support/memory-vault.ts";

const MIB = 1 << 20;
const HOUR = 3_600_000;
const KEY = "audit_logs/daily/rule=default/dt=2026-01-01/000000000001-0011223344556677.parquet";
const STANDARD = { days: 1, tier: "Standard" } as const;

let now: number;
let inner: MemoryArchive;
let vault: MemoryVault;
let archive: Archive;

beforeEach(() => {
  now = Date.parse("2026-03-01T12:00:00Z");
  const clock = (): EpochMs => now as EpochMs;
  inner = openMemoryArchive({
    now: clock,
    random: (count) => randomBytes(count),
    restoreDelayMs: 0,
    versioned: true,
  });
  vault = new MemoryVault("examplevault");
  vault.now = clock;
  archive = open("examplevault");
});

function open(target: string | null): Archive {
  const sizes = { wholeBytesMax: MIB, partBytesMin: MIB };
  return openVaultedArchive({ inner, openVault: () => vault, target, now: () => now as EpochMs, sizes });
}

async function create(bytes: Uint8Array): Promise<Pin> {
  const created = await archive.create(KEY, bytes);
  if (created.outcome !== "created") throw new Error("it exists");
  return created.pin;
}

async function read(object: Locator, start: number, end: number): Promise<Buffer> {
  return Buffer.from(await readBytes(archive, object, { start, end }));
}

describe("an object that goes to the vault", () => {
  it.each([1, 1000, MIB, MIB + 1, 5 * MIB, 5 * MIB + 77])(
    "of %d bytes comes back byte for byte",
    async (length) => {
      const bytes = randomBytes(length);
      const pin = await create(bytes);
      const moved = await archive.setClass(pin, VAULT_CLASS);
      expect(vaultArchiveOf(moved)).toMatchObject({ vault: "examplevault", bytes: BigInt(length) });
      expect([...vault.archives.values()]).toEqual([{ description: KEY, bytes: new Uint8Array(bytes) }]);
      expect(vault.unfinished.size).toBe(0);
      expect(await archive.head(moved)).toMatchObject({
        bytes: BigInt(length),
        storageClass: VAULT_CLASS,
        access: { state: "archived" },
      });
      // What was moved is still there, until whoever moved it has written that down.
      expect(await inner.head(pin)).toMatchObject({ bytes: BigInt(length), storageClass: "STANDARD" });
      await archive.restore(moved, STANDARD);
      vault.finishJobs();
      now += 2_000;
      for (const knowsRanges of [true, false]) {
        vault.knowsRanges = knowsRanges;
        expect((await read(moved, 0, length)).equals(bytes)).toBe(true);
        const [start, end] = [Math.floor(length / 3), Math.ceil(length / 2)];
        expect((await read(moved, start, end)).equals(bytes.subarray(start, end))).toBe(true);
      }
      await archive.deleteVersion(moved);
      expect(vault.archives.size).toBe(0);
    },
  );

  it("is not what was sealed: nothing stays in the vault, and the object stays", async () => {
    for (const length of [1000, 3 * MIB]) {
      const bytes = randomBytes(length);
      const created = await archive.create(`${KEY}.${length}`, bytes);
      if (created.outcome !== "created") throw new Error("it exists");
      inner.corrupt(created.pin.key, (before) => before.with(length - 1, (before[length - 1] as number) ^ 1));
      await expect(archive.setClass(created.pin, VAULT_CLASS)).rejects.toMatchObject({ code: "E_VERIFY" });
      expect([vault.archives.size, vault.unfinished.size]).toEqual([0, 0]);
      expect(await inner.head(created.pin)).not.toBeNull();
    }
  });

  it("has another tree hash there: the archive is removed again", async () => {
    const pin = await create(randomBytes(1000));
    const upload = vault.upload;
    vault.upload = async (...args) => ({ ...(await upload(...args)), treeHash: "0".repeat(64) });
    await expect(archive.setClass(pin, VAULT_CLASS)).rejects.toMatchObject({
      code: "E_VERIFY",
      problem: expect.stringContaining(`the vault's tree hash of it is ${"0".repeat(64)}`),
    });
    expect(vault.archives.size).toBe(0);
  });

  it("is uploaded once, though the process was killed before anybody heard of it", async () => {
    const pin = await create(randomBytes(1000));
    const first = await archive.setClass(pin, VAULT_CLASS);
    // Another process, which knows nothing but the bucket and the vault.
    archive = open("examplevault");
    expect(await archive.setClass(pin, VAULT_CLASS)).toEqual(first);
    expect(vault.archives.size).toBe(1);
  });

  it("leaves at most an archive that an inventory shows, with the object's key as its description", async () => {
    const pin = await create(randomBytes(1000));
    vault.after = (call) => {
      if (call === "upload")
        throw new FirnlineError({ code: "E_ARCHIVE", subject: KEY, problem: "lost", hint: "-" });
    };
    await expect(archive.setClass(pin, VAULT_CLASS)).rejects.toMatchObject({ problem: "lost" });
    vault.after = () => {};
    const moved = await archive.setClass(pin, VAULT_CLASS);
    expect([...vault.archives.values()].map(({ description }) => description)).toEqual([KEY, KEY]);
    expect(vault.archives.has(vaultArchiveOf(moved)?.archiveId ?? "")).toBe(true);
  });

  it("in parts that a killed process left is begun anew, and nothing is left over", async () => {
    const left = (): string[] => [...vault.unfinished.values()].map(({ description }) => description);
    await vault.beginUpload({ op: "", key: "" }, KEY, MIB);
    await vault.beginUpload({ op: "", key: "" }, "somebody else's", MIB);
    const pin = await create(randomBytes(3 * MIB));
    await archive.setClass(pin, VAULT_CLASS);
    expect(left()).toEqual(["somebody else's"]);
    // Of another object, and its run did not come back to it.
    await vault.beginUpload({ op: "", key: "" }, KEY.replace("000000000001", "000000000002"), MIB);
    now += 48 * HOUR;
    expect(await archive.sweepTemporary((now - 72 * HOUR) as EpochMs)).toMatchObject({ files: 0 });
    expect(await archive.sweepTemporary((now - 24 * HOUR) as EpochMs)).toMatchObject({ files: 1 });
    // The vault is older than the archive, and has other users.
    expect(left()).toEqual(["somebody else's"]);
  });

  it("stays where it is once it is there, and cannot be tagged, locked or moved back", async () => {
    const moved = await archive.setClass(await create(randomBytes(10)), VAULT_CLASS);
    expect(await archive.setClass(moved, VAULT_CLASS)).toEqual(moved);
    await expect(archive.setClass(moved, "STANDARD")).rejects.toMatchObject({ code: "E_ARCHIVE" });
    await expect(archive.tag(moved, { a: "b" })).rejects.toMatchObject({ code: "E_ARCHIVE" });
    await expect(archive.hold(moved, true)).rejects.toMatchObject({ code: "E_ARCHIVE" });
  });

  it("can be read though the policy names no vault any more, and nothing new goes there", async () => {
    const bytes = randomBytes(10);
    const pin = await create(bytes);
    const moved = await archive.setClass(pin, VAULT_CLASS);
    archive = open(null);
    await archive.restore(moved, STANDARD);
    vault.finishJobs();
    now += 2_000;
    expect(await read(moved, 0, 10)).toEqual(bytes);
    await expect(archive.setClass(pin, VAULT_CLASS)).rejects.toMatchObject({
      hint: "Name it in tiers.cold.vault",
    });
    expect((await archive.examine()).advice).toEqual([]);
  });
});

describe("a retrieval job", () => {
  let moved: Locator;
  beforeEach(async () => {
    moved = await archive.setClass(await create(randomBytes(100)), VAULT_CLASS);
  });

  it("is begun once, whoever asks, until its output has gone", async () => {
    await expect(read(moved, 0, 1)).rejects.toMatchObject({ code: "E_COLD", retryable: false });
    const restoring = { state: "restoring", readyAt: null };
    const both = [1, 2].map(async () => await archive.restore(moved, STANDARD));
    expect(await Promise.all(both)).toEqual([restoring, restoring]);
    expect(await open("examplevault").restore(moved, STANDARD)).toEqual(restoring);
    expect(vault.jobList).toHaveLength(1);
    await expect(read(moved, 0, 1)).rejects.toMatchObject({ code: "E_COLD", retryable: true });
    vault.finishJobs();
    now += 2_000;
    const until = now - 2_000 + 24 * HOUR;
    expect((await archive.head(moved))?.access).toEqual({ state: "readable", until });
    expect(await archive.restore(moved, { days: 7, tier: "Bulk" })).toEqual({ state: "readable", until });
    now += 24 * HOUR;
    expect((await archive.head(moved))?.access).toEqual({ state: "archived" });
    await archive.restore(moved, STANDARD);
    expect(vault.jobList).toHaveLength(2);
  });

  it("whose reply was lost is found in the vault's listing", async () => {
    vault.after = () => {
      throw new Error("ECONNRESET");
    };
    expect(await archive.restore(moved, STANDARD)).toEqual({ state: "restoring", readyAt: null });
    expect(vault.jobList).toHaveLength(1);
  });

  it("that the vault refuses is told", async () => {
    vault.before = () => {
      throw new FirnlineError({ code: "E_ARCHIVE", subject: KEY, problem: "no capacity", hint: "-" });
    };
    await expect(archive.restore(moved, STANDARD)).rejects.toMatchObject({ problem: "no capacity" });
  });

  it("that failed is as if it had not been", async () => {
    await archive.restore(moved, STANDARD);
    for (const job of vault.jobList) job.status = "Failed";
    now += 2_000;
    expect((await archive.head(moved))?.access).toEqual({ state: "archived" });
  });
});

describe("the output of a job", () => {
  it("that breaks off is read on from there; one that ends early, or is another one, is refused", async () => {
    const bytes = randomBytes(2 * MIB);
    const moved = await archive.setClass(await create(bytes), VAULT_CLASS);
    await archive.restore(moved, STANDARD);
    vault.finishJobs();
    now += 2_000;
    let pieces = 0;
    vault.after = () => {
      if (++pieces % 3 === 0)
        throw new FirnlineError({
          code: "E_ARCHIVE",
          subject: KEY,
          problem: "broke",
          hint: "-",
          retryable: true,
        });
    };
    expect((await read(moved, 0, bytes.length)).equals(bytes)).toBe(true);
    vault.after = () => {};
    const { output } = vault;
    vault.output = async (...args) => ({ ...(await output(...args)), treeHash: "0".repeat(64) });
    await expect(read(moved, 0, bytes.length)).rejects.toMatchObject({ code: "E_VERIFY" });
    vault.output = async (where, job, start, end) => ({
      ...(await output(where, job, start, end - 5)),
      treeHash: null,
    });
    await expect(read(moved, 0, bytes.length)).rejects.toMatchObject({ code: "E_ARCHIVE" });
  });
});

describe("parts of an upload", () => {
  it.each([
    [101 * MIB, 16 * MIB],
    [10_000 * 16 * MIB, 16 * MIB],
    [10_000 * 16 * MIB + 1, 32 * MIB],
    [10_000 * 4_096 * MIB, 4_096 * MIB],
  ])("of %d bytes are of %d", (bytes, partBytes) => {
    expect(partBytesOf(bytes, 16 * MIB)).toBe(partBytes);
    expect(Math.ceil(bytes / partBytesOf(bytes, 16 * MIB))).toBeLessThanOrEqual(10_000);
  });
});

describe("doctor", () => {
  it("says that a vault is not there, and of one that is that its time is over", async () => {
    expect(await archive.examine()).toMatchObject({
      findings: [],
      advice: [{ code: "A_BUCKET", subject: "vault examplevault" }],
    });
    vault.describe = async () => null as never;
    expect((await archive.examine()).findings).toMatchObject([
      { code: "E_BUCKET", problem: "there is no such vault in this account and region" },
    ]);
  });
});
