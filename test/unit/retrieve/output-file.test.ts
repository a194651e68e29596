/** The answer's file takes texts and bytes, in order, and hashes what it writes. */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { OutputFile } from "../../../src/retrieve/output-file.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "firnline-output-"));
});
afterAll(async () => await rm(folder, { recursive: true }));

const newHash = () => createHash("sha256");

it("texts and bytes come out in the order in which they went in, whatever their sizes", async () => {
  const path = join(folder, "answer");
  const large = "é".repeat(300_000);
  const pieces = [
    "a",
    "",
    Uint8Array.of(0, 0xff),
    large,
    "b",
    new Uint8Array(0),
    Uint8Array.of(1),
    "c",
    large,
  ];
  await using file = await OutputFile.open(path, "unique", newHash);
  for (const piece of pieces) await file.write(piece);
  expect(await readdir(folder)).toEqual(["answer.unique.partial"]);
  const sha256 = await file.finish();
  await file.publish();
  const expected = Buffer.concat(pieces.map((piece) => Buffer.from(piece as string)));
  const found = await readFile(path);
  expect(found.equals(expected)).toBe(true);
  expect(sha256).toBe(createHash("sha256").update(expected).digest("hex"));
  expect(file.bytes).toBe(BigInt(expected.length));
});

it("an empty answer is an empty file, and one that is not published leaves nothing", async () => {
  {
    await using empty = await OutputFile.open(join(folder, "empty"), "unique", newHash);
    expect(await empty.finish()).toBe(createHash("sha256").digest("hex"));
    await empty.publish();
    await using dropped = await OutputFile.open(join(folder, "dropped"), "unique", newHash);
    await dropped.write(Uint8Array.of(1, 2, 3));
    await dropped.write("text");
  }
  expect(await readFile(join(folder, "empty"), "utf8")).toBe("");
  expect((await readdir(folder)).filter((name) => name.startsWith("dropped"))).toEqual([]);
});

it("a piece is its own until the next one was taken: a writer has two buffers", async () => {
  const path = join(folder, "buffers");
  const buffers = [new Uint8Array(1 << 20), new Uint8Array(1 << 20)] as const;
  const hash = createHash("sha256");
  await using file = await OutputFile.open(path, "unique", newHash);
  const expected: Buffer[] = [];
  for (let piece = 0; piece < 9; piece += 1) {
    const buffer = buffers[piece % 2] as Uint8Array;
    buffer.fill(piece);
    expected.push(Buffer.from(buffer));
    hash.update(buffer);
    await file.write(buffer);
  }
  expect(await file.finish()).toBe(hash.digest("hex"));
  await file.publish();
  expect((await readFile(path)).equals(Buffer.concat(expected))).toBe(true);
});
