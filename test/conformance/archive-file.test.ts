/** The file archive under the contract, and what it looks like on disk. */
import { randomBytes } from "node:crypto";
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import path from "node:path";

import { DuckDBInstance } from "@duckdb/node-api";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { openFileArchive } from "../../src/archive/file/file-archive.ts";
import type { Archive } from "../../src/archive/port.ts";
import { sidecarOf } from "../../src/archive/file/sidecar.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { describeArchive } from "./archive.ts";
import { leftoversOf, openAt, openHandlesBelow, START, temporaryFolder } from "./archive/file-folder.ts";
import {
  at,
  bytesOf,
  created,
  DAY_MS,
  failureOf,
  HOUR_MS,
  keysOf,
  patterned,
  readAll,
} from "./archive/harness.ts";

describeArchive("file", async () => {
  const root = path.join(await temporaryFolder(), "deep", "archive");
  let clock = START;
  const now = (): EpochMs => clock as EpochMs;
  return {
    archive: openFileArchive({ root, now, random: randomBytes, restoreDelayMs: 12 * HOUR_MS }),
    restoreDelayMs: 12 * HOUR_MS,
    now,
    advance: (ms) => void (clock += ms),
    corrupt: async (key, change) => {
      const file = path.join(root, key);
      const changed = change(new Uint8Array(await readFile(file)));
      await unlink(file);
      await writeFile(file, changed, { mode: 0o444 });
    },
    openHandles: () => openHandlesBelow(root),
    leftovers: async () => await leftoversOf(root),
    dispose: async () => await rm(path.dirname(path.dirname(root)), { recursive: true }),
  };
});

let home: string;
let root: string;
let archive: Archive;

beforeEach(async () => {
  home = await temporaryFolder();
  root = path.join(home, "archive");
  archive = openAt(root);
});
afterEach(async () => {
  expect(openHandlesBelow(root)).toBe(0);
  await rm(home, { recursive: true });
});

describe("on disk", () => {
  test("an object is a read-only file of its own bytes, with one link", async () => {
    await created(archive, "p/daily/a.parquet", bytesOf("PAR1"));
    const file = path.join(root, "p/daily/a.parquet");
    expect(await readFile(file, "utf8")).toBe("PAR1");
    const { mode, nlink, mtimeMs } = await stat(file);
    expect(mode & 0o777).toBe(0o444 & ~process.umask());
    expect(nlink).toBe(1);
    expect(Math.round(mtimeMs)).toBe(START);
    expect(await readdir(path.dirname(file))).toEqual(["a.parquet"]);
  });

  test("engines that glob see objects only", async () => {
    const pin = await created(archive, "p/daily/dt=2026-01-03/a.parquet", bytesOf("PAR1"), "STANDARD_IA");
    await archive.tag(pin, { a: "1" });
    await writeFile(path.join(root, ".tmp", "left-over.parquet"), "half");
    expect(await readdir(path.join(root, "p/daily/dt=2026-01-03"))).toEqual([
      ".a.parquet.firnline.json",
      "a.parquet",
    ]);
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    const found = await connection.runAndReadAll(`SELECT file FROM glob('${root}/p/**/*.parquet')`);
    expect(found.getRows()).toEqual([[path.join(root, "p/daily/dt=2026-01-03/a.parquet")]]);
    connection.closeSync();
    instance.closeSync();
  });

  test("class, tags and restored copy outlive the process, and need no open archive to be read", async () => {
    const pin = await created(archive, "a/b", bytesOf("x"), "GLACIER");
    await archive.tag(pin, { owner: "audit" });
    const asked = await archive.restore(pin, { days: 1, tier: "Bulk" });
    const head = await openAt(root).head(pin);
    expect(head).toMatchObject({ storageClass: "GLACIER", tags: { owner: "audit" }, access: asked });
    const sidecar: unknown = JSON.parse(await readFile(sidecarOf(path.join(root, "a/b")), "utf8"));
    expect(sidecar).toEqual({
      format: 1,
      storageClass: "GLACIER",
      tags: { owner: "audit" },
      restored: { readyAt: START + HOUR_MS, until: Date.UTC(2026, 0, 5) },
    });
  });

  test("a sidecar that a killed delete has left behind does not pass to the next object", async () => {
    const pin = await created(archive, "a/b", bytesOf("x"), "DEEP_ARCHIVE");
    await unlink(path.join(root, "a/b")); // the first half of deleteVersion
    expect(await archive.head(pin)).toBeNull();
    expect(await keysOf(archive)).toEqual([]);
    const next = await created(archive, "a/b", bytesOf("y"));
    expect((await archive.head(next))?.storageClass).toBe("STANDARD");

    await archive.setClass(next, "GLACIER");
    await unlink(path.join(root, "a/b"));
    await archive.deleteVersion(next);
    expect(await readdir(path.join(root, "a"))).toEqual([]);
  });

  test.each([
    ["not JSON", "{"],
    ["a newer format", '{"format":2,"storageClass":"STANDARD","tags":{},"restored":null}'],
    ["no class", '{"format":1,"tags":{},"restored":null}'],
    ["wrong tags", '{"format":1,"storageClass":"STANDARD","tags":{"a":1},"restored":null}'],
    ["wrong instants", '{"format":1,"storageClass":"GLACIER","tags":{},"restored":{"readyAt":"soon"}}'],
    ["far too long", " ".repeat(100_000)],
  ])("a sidecar that cannot be read is an error, not a guess: %s", async (_, text) => {
    const pin = await created(archive, "a/b", bytesOf("x"));
    await writeFile(sidecarOf(path.join(root, "a/b")), text);
    for (const work of [
      () => archive.head(pin),
      () => readAll(archive, pin),
      () => archive.tag(pin, { a: "b" }),
    ]) {
      const failure = await failureOf(work());
      expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
      expect(failure.message).toMatch(/\.b\.firnline\.json cannot be read/);
    }
  });

  test("what has no legal name is not ours: passed over, never touched", async () => {
    await created(archive, "a/b", bytesOf("x"));
    for (const name of ["READ ME.txt", ".hidden", "a/~backup", "a/.nfs0001"]) {
      await writeFile(path.join(root, name), "foreign");
    }
    await mkdir(path.join(root, "lost+found"));
    expect(await keysOf(archive)).toEqual(["a/b"]);
  });

  test("an object that is truncated under the reader is an error", async () => {
    const body = patterned(3 << 20);
    await created(archive, "a/b", body);
    await chmod(path.join(root, "a/b"), 0o644);
    const reading = archive.read(at("a/b"))[Symbol.asyncIterator]();
    expect((await reading.next()).done).toBe(false);
    await truncate(path.join(root, "a/b"), 1 << 20);
    const rest = (async () => {
      while (!(await reading.next()).done);
    })();
    expect((await failureOf(rest)).message).toMatch(/^E_ARCHIVE a\/b: the object is shorter than expected/);
  });

  test("opening, reading and deleting make nothing; illegal keys touch nothing", async () => {
    const object = at("a");
    expect(await archive.head(object)).toBeNull();
    expect(await keysOf(archive)).toEqual([]);
    await archive.deleteVersion(object);
    expect(await archive.sweepTemporary((START + DAY_MS) as EpochMs)).toEqual({ files: 0, bytes: 0n });
    for (const key of ["../outside", "a/../../outside", "/etc/x", ".tmp/x", "a\0"]) {
      expect((await failureOf(archive.create(key, bytesOf("x")))).code).toBe("E_INTERNAL");
    }
    expect(await readdir(home)).toEqual([]);
  });

  test("a locator with a version comes from elsewhere and is refused", async () => {
    await created(archive, "a/b", bytesOf("x"));
    const object = { key: "a/b", versionId: "v1" };
    for (const work of [
      () => archive.head(object),
      () => readAll(archive, object),
      () => archive.deleteVersion(object),
    ]) {
      expect((await failureOf(work())).code).toBe("E_ARCHIVE");
    }
    expect(await keysOf(archive)).toEqual(["a/b"]);
  });

  test("a relative root is refused", () => {
    expect(() => openAt("archive")).toThrow(
      /^E_INTERNAL archive: the archive's root is not an absolute path/,
    );
  });

  test("each restore tier may take its own time", async () => {
    const tiered = openFileArchive({
      root,
      now: () => START as EpochMs,
      random: randomBytes,
      restoreDelayMs: HOUR_MS,
      restoreDelayByTier: { Expedited: 1000, Bulk: 5 * HOUR_MS },
    });
    for (const [tier, delay] of [
      ["Expedited", 1000],
      ["Standard", HOUR_MS],
      ["Bulk", 5 * HOUR_MS],
    ] as const) {
      const pin = await created(tiered, tier, bytesOf("x"), "GLACIER");
      expect(await tiered.restore(pin, { days: 1, tier })).toEqual({
        state: "restoring",
        readyAt: START + delay,
      });
    }
  });

  test("temporary names that collide are an error, not someone else's file", async () => {
    const stuck = openFileArchive({
      root,
      now: () => START as EpochMs,
      random: (bytes) => new Uint8Array(bytes),
      restoreDelayMs: 0,
    });
    const { promise: gate, resolve: go } = Promise.withResolvers<void>();
    const { promise: pulled, resolve: onPull } = Promise.withResolvers<void>();
    async function* body(): AsyncGenerator<Uint8Array> {
      onPull(); // its temporary file is there
      yield bytesOf("one");
      await gate;
    }
    const first = stuck.create("one", body());
    await pulled;
    expect((await failureOf(stuck.create("two", bytesOf("two")))).code).toBe("E_INTERNAL");
    go();
    expect((await first).outcome).toBe("created");
    expect(await readAll(stuck, at("one"))).toEqual(bytesOf("one"));
  });
});

test("the sweep goes by age, and leaves folders and foreign things alone", async () => {
  await created(archive, "a/b", bytesOf("x"));
  const temporary = path.join(root, ".tmp");
  for (const [name, age] of [
    ["1-old", DAY_MS],
    ["2-edge", 0],
    ["3-new", -DAY_MS],
  ] as const) {
    await writeFile(path.join(temporary, name), "12345");
    await utimes(path.join(temporary, name), (START - age) / 1000, (START - age) / 1000);
  }
  await mkdir(path.join(temporary, "folder"));
  expect(await archive.sweepTemporary(START as EpochMs)).toEqual({ files: 1, bytes: 5n });
  expect(await readdir(temporary)).toEqual(["2-edge", "3-new", "folder"]);
});
