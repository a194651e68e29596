/** What a file archive refuses: symbolic links, and what the operating system refuses it. */
import { spawnSync } from "node:child_process";
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Archive } from "../../src/archive/port.ts";
import { ioFailure, linkFailure } from "../../src/archive/file/io-failure.ts";
import { sidecarOf } from "../../src/archive/file/sidecar.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { onLinux, openAt, openHandlesBelow, START, temporaryFolder } from "./archive/file-folder.ts";
import { at, bytesOf, created, DAY_MS, failureOf, keysOf, readAll } from "./archive/harness.ts";

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

describe("symbolic links", () => {
  let outside: string;
  beforeEach(async () => {
    outside = path.join(home, "outside");
    await mkdir(outside);
    await writeFile(path.join(outside, "secret"), "secret");
    await created(archive, "a/b", bytesOf("x"));
  });

  const everything = (key: string): (() => Promise<unknown>)[] => [
    () => archive.create(key, bytesOf("new")),
    () => archive.head(at(key)),
    () => readAll(archive, at(key)),
    () => archive.tag(at(key), { a: "b" }),
    () => archive.setClass(at(key), "GLACIER"),
    () => archive.restore(at(key), { days: 1, tier: "Bulk" }),
    () => archive.deleteVersion(at(key)),
    () => keysOf(archive, key.slice(0, key.lastIndexOf("/") + 1)),
    () => keysOf(archive),
  ];

  test.each(["to a folder outside", "to a folder inside", "to nowhere"])(
    "in a folder's place: %s",
    async (kind) => {
      const target = kind.endsWith("outside")
        ? outside
        : path.join(root, kind.endsWith("inside") ? "a" : "gone");
      await symlink(target, path.join(root, "link"));
      for (const work of everything("link/secret")) {
        expect(await failureOf(work())).toMatchObject({ code: "E_ARCHIVE", retryable: false });
      }
      expect(await readdir(outside)).toEqual(["secret"]);
      expect(await readFile(path.join(outside, "secret"), "utf8")).toBe("secret");
    },
  );

  test("in an object's place", async () => {
    await symlink(path.join(outside, "secret"), path.join(root, "a/link"));
    for (const work of everything("a/link")) expect((await failureOf(work())).code).toBe("E_ARCHIVE");
    expect((await lstat(path.join(root, "a/link"))).isSymbolicLink()).toBe(true);
    expect(await readFile(path.join(outside, "secret"), "utf8")).toBe("secret");
  });

  test("in a sidecar's place: not read, and removed rather than followed", async () => {
    await archive.tag(at("a/b"), { a: "1" });
    const sidecar = sidecarOf(path.join(root, "a/b"));
    const elsewhere = path.join(outside, "sidecar.json");
    await rename(sidecar, elsewhere);
    await symlink(elsewhere, sidecar);
    expect((await failureOf(archive.head(at("a/b")))).code).toBe("E_ARCHIVE");
    await archive.deleteVersion(at("a/b"));
    expect(await readdir(path.dirname(sidecar))).toEqual([]);
    expect(await readdir(outside)).toEqual(["secret", "sidecar.json"]);
  });

  test("in the place of the temporary folder", async () => {
    await rm(path.join(root, ".tmp"), { recursive: true });
    await symlink(outside, path.join(root, ".tmp"));
    expect((await failureOf(archive.create("a/c", bytesOf("x")))).code).toBe("E_ARCHIVE");
    expect((await failureOf(archive.sweepTemporary((START + DAY_MS) as EpochMs))).code).toBe("E_ARCHIVE");
    expect(await readdir(outside)).toEqual(["secret"]);
  });

  test("a root that is a link is the owner's choice", async () => {
    const elsewhere = path.join(home, "by-link");
    await symlink(root, elsewhere);
    const linked = openAt(elsewhere);
    await created(linked, "a/c", bytesOf("y"));
    expect(await keysOf(linked)).toEqual(["a/b", "a/c"]);
    expect(await keysOf(archive)).toEqual(["a/b", "a/c"]);
  });

  test.skipIf(!onLinux)("a pipe is refused without waiting for its other end", async () => {
    expect(spawnSync("mkfifo", [path.join(root, "a/pipe")]).status).toBe(0);
    for (const work of everything("a/pipe")) expect((await failureOf(work())).code).toBe("E_ARCHIVE");
  });
});

describe("what examine finds", () => {
  test("a root that is not there yet is the first create's business", async () => {
    expect(await openAt(path.join(home, "a/b/c")).examine()).toMatchObject({ findings: [] });
    expect(await readdir(home)).toEqual([]);
    await mkdir(root);
  });

  test.each(["file", "file/archive", "file/a/b"])("a file in the way: %s", async (folder) => {
    await writeFile(path.join(home, "file"), "x");
    const misplaced = openAt(path.join(home, folder));
    const { bytesFree, findings } = await misplaced.examine();
    expect(bytesFree).toBeNull();
    expect(findings).toMatchObject([{ code: "E_ARCHIVE", subject: misplaced.url, op: "archive.examine" }]);
    expect(findings[0]?.problem).toContain("a file, folder or link stands where something else belongs");
  });

  test.skipIf(process.geteuid === undefined)("a folder that may not be written", async () => {
    await mkdir(root);
    await chmod(root, 0o555);
    // Nothing is forbidden to root.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) await chmod(home, 0o755).then(() => process.seteuid?.(65_534));
    try {
      const { findings } = await archive.examine();
      expect(findings).toMatchObject([{ code: "E_ARCHIVE", retryable: false }]);
      expect(findings[0]?.message).toMatch(/the operating system does not allow it \(EACCES.+write access/);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});

describe("what the operating system refuses", () => {
  test("a root below a file", async () => {
    await writeFile(path.join(home, "file"), "x");
    for (const folder of ["file", "file/archive", "file/a/b"]) {
      const misplaced = openAt(path.join(home, folder));
      const failure = await failureOf(misplaced.create("a/b", bytesOf("x")));
      expect(failure).toMatchObject({
        code: "E_ARCHIVE",
        retryable: false,
        op: "archive.create",
        key: "a/b",
      });
    }
    expect(await readFile(path.join(home, "file"), "utf8")).toBe("x");
  });

  test.skipIf(!onLinux)("a root where nobody may write, root included", async () => {
    const failure = await failureOf(openAt("/sys/firnline").create("a/b", bytesOf("x")));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
    expect(failure.hint).toMatch(/write access/);
  });

  test("a root that has gone away is not made anew: it may have been unmounted", async () => {
    await created(archive, "a/b", bytesOf("x"));
    await rm(root, { recursive: true });
    expect((await failureOf(archive.create("a/c", bytesOf("x")))).code).toBe("E_ARCHIVE");
    expect(await archive.head(at("a/b"))).toBeNull();
    expect(await readdir(home)).toEqual([]);
    await mkdir(root);
  });

  test.each([
    ["ENOSPC", "E_CAPACITY", true],
    ["EDQUOT", "E_CAPACITY", true],
    ["EFBIG", "E_CAPACITY", false],
    ["EACCES", "E_ARCHIVE", false],
    ["EPERM", "E_ARCHIVE", false],
    ["EROFS", "E_ARCHIVE", false],
    ["EIO", "E_ARCHIVE", true],
    ["ESTALE", "E_ARCHIVE", true],
    ["EXDEV", "E_ARCHIVE", false],
    ["ENOTSUP", "E_ARCHIVE", false],
  ])("%s is %s, retryable: %s", (errno, code, retryable) => {
    const cause = Object.assign(new Error(`${errno}: no, write`), { code: errno, syscall: "write" });
    const failure = ioFailure({ op: "archive.create", key: "a/b" }, cause);
    expect(failure).toMatchObject({ code, retryable, op: "archive.create", key: "a/b", cause });
    expect(failure.message).toMatch(new RegExp(`^${code} a/b: .* \\(${errno}: no, write\\)\\. .*\\.$`));
  });

  test("a link that is not permitted means a file system without hard links", () => {
    const cause = Object.assign(new Error("EPERM: no, link"), { code: "EPERM", syscall: "link" });
    const failure = linkFailure({ op: "archive.create", key: "a/b" }, cause);
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
    expect(failure.hint).toMatch(/hard links/);
  });
});
