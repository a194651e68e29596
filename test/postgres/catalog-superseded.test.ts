/** Chunks that another segment holds now: who may be replaced, and what readers still take of what is left. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Lease } from "../../src/catalog/port.ts";
import { AT, CatalogScene, day, PIPELINE, sealedEvent } from "./catalog-scene.ts";

let scene: CatalogScene;
let lease: Lease;
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

const ON = "2026-01-03";
const stateOf = async (segment: string): Promise<string> =>
  (await scene.catalog.segment(PIPELINE, segment)).state;
const chunkStates = async (segment: string): Promise<string[]> =>
  (await scene.catalog.chunks(PIPELINE, segment)).map(({ state }) => state);
const readable = async (): Promise<unknown[]> =>
  (await scene.catalog.readableNow(PIPELINE, day(ON), day(ON))).map(({ record, prunedChunks }) => [
    record.segment,
    prunedChunks,
  ]);

/** A new segment whose seal replaces these chunks. */
async function replace(segment: string, chunks: number[]): Promise<string> {
  const fresh = await scene.upload(lease, [10]);
  await scene.journal(lease, { ...sealedEvent(fresh), supersedes: [{ segment, chunks }] });
  return fresh;
}

describe("a new segment that replaces chunks", () => {
  it("of a segment pruned in part leaves that one warm, and readers its pruned chunks", async () => {
    const old = await scene.pruning(lease, [10, 20, 30]);
    await scene.prune(lease, old, [0, 2], 40n);
    const fresh = await replace(old, [1]);
    expect(await stateOf(old)).toBe("warm");
    expect(await chunkStates(old)).toEqual(["pruned", "superseded", "pruned"]);
    expect(await scene.catalog.segment(PIPELINE, old)).toMatchObject({
      rowsUnpruned: 0n,
      rowsSuperseded: 20n,
    });
    expect(await readable()).toEqual([[old, [0, 2]]]);
    await scene.journal(lease, { type: "prune-started", segment: fresh });
    await scene.prune(lease, fresh, [0], 10n);
    expect(await readable()).toEqual([
      [old, [0, 2]],
      [fresh, null],
    ]);
  });

  it("of a segment of which nothing was pruned supersedes it as a whole", async () => {
    const old = await scene.upload(lease, [10, 20]);
    await scene.seal(lease, old);
    await replace(old, [0, 1]);
    expect([await stateOf(old), await chunkStates(old)]).toEqual(["superseded", []]);
    expect(await readable()).toEqual([]);
  });

  it("that were pruned is refused, or their rows would be nowhere (I2)", async () => {
    const old = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, old, [0], 10n);
    const fresh = await scene.upload(lease, [10]);
    await scene.catalog.enqueue(
      lease,
      { ...sealedEvent(fresh), supersedes: [{ segment: old, chunks: [0, 1] }] },
      AT,
    );
    await expect(scene.publish(lease)).rejects.toThrow(
      /^E_INTERNAL segment .*: 1 of 2 chunks are sealed or quarantined and can become superseded/,
    );
    expect([await chunkStates(old), await stateOf(fresh)]).toEqual([["pruned", "sealed"], "uploaded"]);
  });

  it("is told which these are: sealed and quarantined ones of its partition", async () => {
    const one = await scene.pruning(lease, [10, 20, 30]);
    const two = await scene.upload(lease, [5]);
    await scene.seal(lease, two);
    await scene.pruning(lease, [10], "2026-01-04");
    await scene.pruning(lease, [10], ON, "denied");
    await scene.upload(lease, [7]);
    await scene.prune(lease, one, [1], 20n);
    await scene.journal(lease, { type: "quarantined", segment: one, chunks: [2], reason: "busy" });
    expect(await scene.catalog.replaceable(PIPELINE, { leaf: null, rule: "default", day: day(ON) })).toEqual({
      sealed: [
        { segment: one, chunks: [0] },
        { segment: two, chunks: [0] },
      ],
      quarantined: [{ segment: one, chunks: [2] }],
    });
  });
});

describe("chunks that are given up without another segment", () => {
  it("do not count any more", async () => {
    const old = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, old, [0], 10n);
    await scene.journal(lease, { type: "superseded", segment: old, chunks: [1], reason: "gone" });
    expect([await stateOf(old), await chunkStates(old)]).toEqual(["warm", ["pruned", "superseded"]]);
  });
});

describe("a segment with superseded chunks", () => {
  async function partlySuperseded(): Promise<string> {
    const old = await scene.pruning(lease, [10, 20, 30]);
    await scene.prune(lease, old, [0, 2], 40n);
    await replace(old, [1]);
    return old;
  }

  it("is due to be rewritten, and does not go cold before", async () => {
    const old = await partlySuperseded();
    const view = await scene.catalog.view(PIPELINE, day("2026-12-31"), []);
    expect(view.dueForRewrite.map(({ segment }) => segment)).toEqual([old]);
    expect(view.dueForCold).toEqual([]);
    expect(await scene.catalog.totals(PIPELINE)).toContainEqual(
      expect.objectContaining({ state: "warm", rows: 60n, rowsPruned: 40n }),
    );
  });

  it("gives its pruned chunks to the segment that is packed of them, which is warm at once", async () => {
    const old = await partlySuperseded();
    const packed = await scene.upload(lease, [10, 30]);
    const { supersedes: _, ...sealed } = sealedEvent(packed);
    await scene.journal(lease, { ...sealed, type: "packed", from: [{ segment: old, chunks: [0, 2] }] });
    expect([await stateOf(old), await stateOf(packed)]).toEqual(["superseded", "warm"]);
    expect([await chunkStates(old), await chunkStates(packed)]).toEqual([[], []]);
    expect(await readable()).toEqual([[packed, null]]);
  });

  it("gives up none that was not pruned", async () => {
    const old = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, old, [0], 10n);
    const packed = await scene.upload(lease, [10, 20]);
    const { supersedes: _, ...sealed } = sealedEvent(packed);
    await scene.catalog.enqueue(
      lease,
      { ...sealed, type: "packed", from: [{ segment: old, chunks: [0, 1] }] },
      AT,
    );
    await expect(scene.publish(lease)).rejects.toThrow(/^E_INTERNAL segment .*: 1 of 2 chunks are pruned/);
  });
});

describe("wholly pruned segments, which have no chunks here any more,", () => {
  async function warm(): Promise<string> {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0, 1], 30n);
    expect([await stateOf(segment), await chunkStates(segment)]).toEqual(["warm", []]);
    return segment;
  }
  async function pack(...from: readonly string[]): Promise<string> {
    const packed = await scene.upload(lease, [10, 20, 10, 20]);
    const { supersedes: _, ...sealed } = sealedEvent(packed);
    const chunks = from.map((segment) => ({ segment, chunks: [0, 1] }));
    await scene.journal(lease, { ...sealed, type: "packed", from: chunks });
    return packed;
  }

  it("are packed as a whole", async () => {
    const parts = [await warm(), await warm()];
    const packed = await pack(...parts);
    expect(await Promise.all(parts.map(stateOf))).toEqual(["superseded", "superseded"]);
    expect([await stateOf(packed), await chunkStates(packed)]).toEqual(["warm", []]);
    expect(await readable()).toEqual([[packed, null]]);
  });

  it("are packed while they are warm alone", async () => {
    const [one, moving] = [await warm(), await warm()];
    await scene.catalog.classRequested(lease, moving);
    await expect(pack(one, moving)).rejects.toThrow(
      /^E_INTERNAL segment .*: it is packed, and not wholly pruned/,
    );
    expect(await Promise.all([one, moving].map(stateOf))).toEqual(["warm", "cooling"]);
  });
});

describe("quarantine", () => {
  it("takes sealed chunks only, and leaves the segment open", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0], 10n);
    await scene.journal(lease, { type: "quarantined", segment, chunks: [1], reason: "busy" });
    expect(await scene.catalog.segment(PIPELINE, segment)).toMatchObject({
      state: "pruning",
      rowsUnpruned: 20n,
      rowsQuarantined: 20n,
    });
    await expect(
      scene.journal(lease, { type: "quarantined", segment, chunks: [0], reason: "busy" }),
    ).rejects.toThrow(/^E_INTERNAL/);
  });
});
