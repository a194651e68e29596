/** The two verdicts that stand before a deletion: is the archive's copy what was exported, are these the rows (I1). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type DeletedChunk, pruneVerdict } from "../../../src/segment/prune-guard.ts";
import { firstDifference, type ReadBack, sealVerdict } from "../../../src/segment/seal-verdict.ts";
import type { ManifestChunk } from "../../../src/segment/manifest.ts";
import { hashOf, replaced, sampleManifest } from "./sample-manifest.ts";

const manifest = sampleManifest();
const chunks = manifest.chunks as [ManifestChunk, ManifestChunk, ManifestChunk];

const readBack: ReadBack = {
  bytes: 4096n,
  sha256: hashOf("object"),
  chunks: chunks.map(({ rows, digests }) => ({ rows, digests: [...digests] })),
  indexProblem: null,
};

describe("the seal", () => {
  const verdictOf = (changes: Partial<ReadBack>): string => {
    const verdict = sealVerdict(manifest, { ...readBack, ...changes });
    return verdict.verdict === "sealed" ? "sealed" : verdict.reason;
  };
  const withChunk = (index: number, chunk: Partial<ReadBack["chunks"][number]>): Partial<ReadBack> => ({
    chunks: readBack.chunks.map((one, at) => (at === index ? { ...one, ...chunk } : one)),
  });
  const digests = chunks[1].digests as [string, string];

  it.each<[string, Partial<ReadBack>, string]>([
    ["exactly what was written", {}, "sealed"],
    ["a byte less", { bytes: 4095n }, "the object has 4095 bytes, 4096 were written"],
    ["no bytes", { bytes: 0n, sha256: "", chunks: [] }, "the object has 0 bytes, 4096 were written"],
    [
      "another SHA-256",
      { sha256: hashOf("x") },
      `the object's SHA-256 is ${hashOf("x")}, ${hashOf("object")} was written`,
    ],
    ["no SHA-256", { sha256: "" }, `the object's SHA-256 is , ${hashOf("object")} was written`],
    ["no chunks", { chunks: [] }, "0 chunks were read, 3 were written"],
    ["a chunk missing", { chunks: readBack.chunks.slice(1) }, "2 chunks were read, 3 were written"],
    [
      "a chunk twice",
      { chunks: [...readBack.chunks, readBack.chunks[2] as never] },
      "4 chunks were read, 3 were written",
    ],
    [
      "chunks in another order",
      { chunks: readBack.chunks.toReversed() },
      "chunk 0 has 30 rows, 10 were written",
    ],
    ["a row less", withChunk(1, { rows: 19 }), "chunk 1 has 19 rows, 20 were written"],
    ["a row more", withChunk(1, { rows: 21 }), "chunk 1 has 21 rows, 20 were written"],
    ["no rows", withChunk(2, { rows: 0 }), "chunk 2 has 0 rows, 30 were written"],
    [
      "a value of another column",
      withChunk(1, { digests: [digests[0], hashOf("x")] }),
      "chunk 1, column ts: the values differ",
    ],
    [
      "columns exchanged",
      withChunk(1, { digests: digests.toReversed() }),
      "chunk 1, column id: the values differ",
    ],
    ["no digests", withChunk(1, { digests: [] }), "chunk 1, column id: the values differ"],
    ["a digest missing", withChunk(1, { digests: [digests[0]] }), "chunk 1, column ts: the values differ"],
    [
      "a digest too many",
      withChunk(1, { digests: [...digests, digests[0]] }),
      "chunk 1, column 2: the values differ",
    ],
  ])("of %s", (_what, changes, expected) => expect(verdictOf(changes)).toBe(expected));
});

describe("the guard before a COMMIT that deletes", () => {
  const [, chunk] = chunks;
  const deleted: DeletedChunk = { rows: 20, digests: [...chunk.digests] };
  const verdictOf = (changes: Partial<DeletedChunk>, index = 1): string => {
    const verdict = pruneVerdict(manifest, index, { ...deleted, ...changes });
    return verdict.verdict === "proven" ? "proven" : verdict.reason;
  };

  it.each<[string, Partial<DeletedChunk>, string]>([
    ["the archived rows", {}, "proven"],
    ["a row less", { rows: 19 }, "1 row is gone since the export"],
    ["two rows less", { rows: 18 }, "2 rows are gone since the export"],
    // The right digests beside the wrong count: the count alone must be enough.
    ["no rows", { rows: 0 }, "20 rows are gone since the export"],
    ["no rows and no digests (hazard 8)", { rows: 0, digests: [] }, "20 rows are gone since the export"],
    ["a row more", { rows: 21 }, "1 row came in after the export"],
    ["two rows more", { rows: 22 }, "2 rows came in after the export"],
    [
      "another value",
      { digests: [chunk.digests[0] as string, hashOf("x")] },
      "column ts changed since the export",
    ],
    ["columns exchanged", { digests: chunk.digests.toReversed() }, "column id changed since the export"],
    ["no digests", { digests: [] }, "column id changed since the export"],
    ["a digest missing", { digests: chunk.digests.slice(0, 1) }, "column ts changed since the export"],
    ["a digest too many", { digests: [...chunk.digests, hashOf("x")] }, "column 2 changed since the export"],
    [
      "digests in capitals",
      { digests: chunk.digests.map((one) => one.toUpperCase()) },
      "column id changed since the export",
    ],
  ])("finds %s", (_what, changes, expected) => expect(verdictOf(changes)).toBe(expected));

  it.each([3, -1, 0.5, Number.NaN])("does not let rows go for chunk %d, which is not there", (index) => {
    expect(pruneVerdict(manifest, index, deleted)).toEqual({
      verdict: "drift",
      rowsArchived: 0,
      rowsFound: 20,
      reason: `the manifest has no chunk ${index}`,
    });
  });

  it("does not take the rows of one chunk for those of another", () => {
    const same = replaced(manifest, ["chunks", 0, "rows"], 20);
    expect(pruneVerdict(same, 0, deleted).verdict).toBe("drift");
    expect(pruneVerdict(same, 1, deleted).verdict).toBe("proven");
  });

  it("says how many rows were archived and how many were found", () => {
    expect(pruneVerdict(manifest, 1, { ...deleted, rows: 7 })).toMatchObject({
      rowsArchived: 20,
      rowsFound: 7,
    });
  });

  it("is proven by the manifest's own digests and row count, and by nothing else", () => {
    const someDigests = fc.array(fc.constantFrom(...chunk.digests, hashOf("x"), ""), { maxLength: 4 });
    fc.assert(
      fc.property(fc.integer({ min: -1, max: 41 }), someDigests, (rows, digests) => {
        const same = rows === 20 && digests.join() === chunk.digests.join();
        expect(pruneVerdict(manifest, 1, { rows, digests }).verdict).toBe(same ? "proven" : "drift");
      }),
      { numRuns: 500 },
    );
  });
});

describe("the first difference", () => {
  it("between lists of two lengths is where the shorter one ends", () => {
    expect(firstDifference(chunks[0], [])).toBe(0);
    expect(firstDifference(chunks[0], chunks[0].digests.slice(0, 1))).toBe(1);
    expect(firstDifference(chunks[0], [...chunks[0].digests, ""])).toBe(2);
    expect(firstDifference(chunks[0], chunks[0].digests)).toBeNull();
  });
});
