/** Row groups are read one ahead of whoever works on them, in order, and no further (I10). */
import { beforeAll, describe, expect, it } from "vitest";

import { readChunkGroups } from "../../../src/archived/read-chunks.ts";
import type { RawRows } from "../../../src/rows/copy-binary.ts";
import { rawRows } from "../../support/copy-stream.ts";
import {
  SealedArchive,
  type SealedSegment,
  sealSegment,
  withManifest,
} from "../../support/sealed-segments.ts";
import { column, int8 } from "../retrieve/value-fields.ts";

const COLUMNS = [column("id", "int8"), column("ts", "timestamptz")];
const GROUPS = 5;

/** Incompressible enough that a row group has its own place in the object. */
const chunkOf = (group: number, chunk: number): RawRows =>
  rawRows(
    2,
    Array.from({ length: 50 }, (_, at) => [
      int8(BigInt(group * 1000 + chunk * 100 + at)),
      int8(BigInt((at * 7919 + group) % 10_007) * 1_000_003n),
    ]),
  );

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
};

let sealed: SealedSegment;
beforeAll(async () => {
  const rowGroups = Array.from({ length: GROUPS }, (_, group) => [chunkOf(group, 0), chunkOf(group, 1)]);
  sealed = await sealSegment({ name: "groups", day: "2026-01-03", columns: COLUMNS, rowGroups });
});

/** Reads of row groups: those that do not go to the end of the object. */
const groupsRead = (archive: SealedArchive): number =>
  archive.reads.filter(({ range }) => range.end < sealed.object.length).length;

const groupsOf = (archive: SealedArchive, isWanted: (chunk: number) => boolean = () => true) =>
  readChunkGroups(archive.reader(), sealed.segment.record, sealed.manifest, isWanted);

describe("row groups", () => {
  it("come in order, while the next one is on its way, and no more than that", async () => {
    const archive = new SealedArchive([sealed]);
    const found: number[] = [];
    for await (const chunks of groupsOf(archive)) {
      found.push(...chunks.map(({ chunk }) => chunk));
      await turns();
      expect(groupsRead(archive)).toBe(Math.min(GROUPS, found.length / 2 + 1));
    }
    expect(found).toEqual(Array.from({ length: GROUPS * 2 }, (_, chunk) => chunk));
  });

  it("without a wanted chunk are not read", async () => {
    const archive = new SealedArchive([sealed]);
    const found: number[] = [];
    for await (const chunks of groupsOf(archive, (chunk) => chunk === 3 || chunk === 8)) {
      found.push(...chunks.map(({ chunk }) => chunk));
    }
    expect(found).toEqual([3, 8]);
    expect(groupsRead(archive)).toBe(2);
  });

  it("that are on their way when the reader stops are waited for", async () => {
    const archive = new SealedArchive([sealed]);
    for await (const _ of groupsOf(archive)) break;
    expect(archive.atOnce).toBe(0);
    expect(groupsRead(archive)).toBe(2);
  });

  it("that are damaged are refused when it is their turn", async () => {
    const object = sealed.object.slice();
    const archive = new SealedArchive([sealed]);
    for await (const _ of groupsOf(archive)) await turns();
    const third = archive.reads.filter(({ range }) => range.end < object.length)[2]?.range as {
      start: number;
    };
    object.fill(0xff, third.start, third.start + 8);
    const damaged = new SealedArchive([withManifest(sealed.manifest, object)]);
    const found: number[] = [];
    const read = async (): Promise<void> => {
      for await (const chunks of groupsOf(damaged)) {
        await turns();
        found.push(...chunks.map(({ chunk }) => chunk));
      }
    };
    await expect(read()).rejects.toMatchObject({ code: expect.stringMatching(/^E_(?:FORMAT|VERIFY)$/) });
    expect(found).toEqual([0, 1, 2, 3]);
  });
});
