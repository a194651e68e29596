/** The file archive in processes that are killed, starved and raced (I3). */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Archive } from "../../src/archive/port.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { CHILD, start } from "./archive/child-process.ts";
import { leftoversOf, openAt, openHandlesBelow, START, temporaryFolder } from "./archive/file-folder.ts";
import {
  at,
  bytesOf,
  created,
  DAY_MS,
  expectBytes,
  inChunks,
  keysOf,
  patterned,
  readAll,
  sha256,
} from "./archive/harness.ts";

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

describe("killed, starved and raced processes", () => {
  test("kill -9 in mid-create leaves no visible object, and a later create succeeds", async () => {
    const child = start([process.execPath, CHILD, root, "slow", "p/a.parquet"]);
    await child.until((line) => line["streamed"] === 3);
    child.process.kill("SIGKILL");
    await child.ended;
    expect(await archive.head(at("p/a.parquet"))).toBeNull();
    expect(await keysOf(archive)).toEqual([]);
    expect(await leftoversOf(root)).toHaveLength(1);

    await created(archive, "p/a.parquet", bytesOf("complete"));
    expect(await readAll(archive, at("p/a.parquet"))).toEqual(bytesOf("complete"));

    // Not swept on opening, and not while it might be in use; by age only.
    expect(await archive.sweepTemporary((Date.now() - DAY_MS) as EpochMs)).toEqual({ files: 0, bytes: 0n });
    const swept = await archive.sweepTemporary((Date.now() + DAY_MS) as EpochMs);
    expect(swept.files).toBe(1);
    expect(swept.bytes).toBeGreaterThan(3n << 20n);
    expect(await leftoversOf(root)).toEqual([]);
  });

  test("kill -9 at any instant: what was reported is there, and what is visible is complete", async () => {
    for (let round = 0; round < 8; round++) {
      const prefix = `round-${round}`;
      const child = start([process.execPath, CHILD, root, "many", prefix]);
      await child.until((line) => line["created"] === true);
      await new Promise((resolve) => setTimeout(resolve, 10 + 11 * round));
      child.process.kill("SIGKILL");
      await child.ended;
      const reported = child.lines.flatMap((line) =>
        line["created"] === true ? [line["key"] as string] : [],
      );
      const visible = await keysOf(archive, `${prefix}/`);
      expect(visible).toEqual(expect.arrayContaining(reported));
      expect(visible.length - reported.length).toBeLessThanOrEqual(1);
      for (const key of visible) {
        const expected = Buffer.concat([
          Buffer.alloc(20_000, key),
          createHash("sha256").update(key).digest(),
        ]);
        expectBytes(await readAll(archive, at(key)), expected);
      }
    }
    // A temporary name of an object that was linked just before the kill is a second link: the object
    // stays.
    const before = await keysOf(archive);
    await archive.sweepTemporary((Date.now() + DAY_MS) as EpochMs);
    expect(await leftoversOf(root)).toEqual([]);
    expect(await keysOf(archive)).toEqual(before);
  }, 60_000);

  test("a second link to a published object is swept without harm, and frees no bytes", async () => {
    await created(archive, "a/b", bytesOf("x"));
    spawnSync("ln", [path.join(root, "a/b"), path.join(root, ".tmp", "1-left")]);
    expect(await archive.sweepTemporary((START + 1) as EpochMs)).toEqual({ files: 1, bytes: 0n });
    expect(await readAll(archive, at("a/b"))).toEqual(bytesOf("x"));
  });

  test("of six processes that create one key exactly one wins", async () => {
    const children = Array.from({ length: 6 }, () =>
      start([process.execPath, CHILD, root, "race", "p/journal/1.json"]),
    );
    await Promise.all(children.map(async (child) => await child.until((line) => line["ready"] === true)));
    for (const child of children) child.process.stdin.write("go\n");
    await Promise.all(children.map(async (child) => await child.ended));
    const winners = children.filter((child) => child.lines.some((line) => line["created"] === true));
    expect(winners).toHaveLength(1);
    const content = await readAll(archive, at("p/journal/1.json"));
    expectBytes(content, new Uint8Array(1 << 20).fill(winners[0]?.process.pid ?? 0));
    expect(await leftoversOf(root)).toEqual([]);
  }, 30_000);

  test("a file size limit is E_CAPACITY, leaves nothing, and smaller objects go on", async () => {
    const limited = `ulimit -f 2048 && exec "$@"`; // 1 or 2 MiB, by the shell
    const child = start(["sh", "-c", limited, "sh", process.execPath, CHILD, root, "large", "p/a"]);
    await child.ended;
    expect(child.lines).toMatchObject([
      { key: "p/a", code: "E_CAPACITY", retryable: false },
      { key: "p/a.small", created: true },
    ]);
    expect(await keysOf(archive)).toEqual(["p/a.small"]);
    expect(await leftoversOf(root)).toEqual([]);
  });

  const mount = (options: string): string[] => [
    "unshare",
    "-rm",
    "sh",
    "-c",
    `mount -t tmpfs -o ${options} tmpfs "$3" && exec "$@"`,
    "sh",
  ];
  const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

  test.skipIf(!canMount)(
    "a full disk is E_CAPACITY, retryable, and leaves nothing that takes space",
    async () => {
      await mkdir(root);
      const child = start([...mount("size=4m"), process.execPath, CHILD, root, "large", "p/a"]);
      await child.ended;
      expect(child.lines).toMatchObject([
        { key: "p/a", code: "E_CAPACITY", retryable: true },
        { key: "p/a.small", created: true },
      ]);
    },
  );

  test.skipIf(!canMount)("a read-only mount is E_ARCHIVE, not retryable", async () => {
    await mkdir(root);
    const child = start([...mount("ro"), process.execPath, CHILD, root, "large", "p/a"]);
    await child.ended;
    expect(child.lines).toMatchObject([{ code: "E_ARCHIVE", retryable: false }, { code: "E_ARCHIVE" }]);
    expect(child.lines[0]?.["message"]).toMatch(/does not allow it \(EROFS/);
  });
});

test("two archives on one folder, in one process, agree", async () => {
  const other = openAt(root);
  const bodies = Array.from({ length: 10 }, (_, index) => patterned(50_000, index));
  const results = await Promise.all(
    bodies.map((body, index) => (index % 2 === 0 ? archive : other).create("a/b", inChunks(body, 5000))),
  );
  const winner = results.findIndex(({ outcome }) => outcome === "created");
  expect(results.filter(({ outcome }) => outcome === "created")).toHaveLength(1);
  expect(sha256(await readAll(other, at("a/b")))).toBe(sha256(bodies[winner] as Uint8Array));
});
