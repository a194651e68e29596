/** The manifest on its way through the archive: whatever happened to its bytes there, it is refused or it is the same. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isFirnlineError } from "../../../src/errors.ts";
import { canonicalBytes, canonicalJson, type Json } from "../../../src/segment/canonical-json.ts";
import { leafDigest, merkleRoot } from "../../../src/segment/digest.ts";
import {
  chunkHeader,
  decodeManifest,
  encodeManifest,
  type Manifest,
  type ManifestChunk,
  manifestRoot,
} from "../../../src/segment/manifest.ts";
import { hashOf, newHash, type Path, replaced, sampleManifest, scalars } from "./sample-manifest.ts";

const SUBJECT = "_firnline/audit_logs/manifests/x.json";
const sample = sampleManifest();
const chunks = sample.chunks as [ManifestChunk, ManifestChunk, ManifestChunk];

const bytesOf = (value: unknown): Uint8Array => canonicalBytes(value as Json);
const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): Manifest => decodeManifest(newHash, bytes, SUBJECT);

/** What a person reads about these bytes; "" when they are taken for a manifest. */
function refusal(bytes: Uint8Array): string {
  try {
    decode(bytes);
    return "";
  } catch (error) {
    if (!isFirnlineError(error, "E_FORMAT")) throw error;
    expect(error.subject).toBe(SUBJECT);
    return error.problem;
  }
}

describe("a manifest", () => {
  it("comes back from its bytes as it was, and its bytes are canonical", () => {
    expect(decode(encodeManifest(sample))).toEqual(sample);
    expect(new TextDecoder().decode(encodeManifest(sample))).toBe(canonicalJson(sample as unknown as Json));
  });

  it("carries the root of its chunks' leaves, in order", () => {
    const leaves = sample.chunks.map((chunk) =>
      leafDigest(
        newHash,
        chunkHeader(sample, chunk),
        chunk.digests.map((hex) => Buffer.from(hex, "hex")),
      ),
    );
    expect(sample.root).toBe(Buffer.from(merkleRoot(newHash, leaves)).toString("hex"));
    // Permanent: this very manifest must be readable in twenty years.
    expect(sample.root).toBe("eaa16dcfbcf72426437434ce18e736d5873a2dc299df712ce7a0de8b06f73a65");
  });
});

describe("E_FORMAT is the answer to", () => {
  it.each([
    ["no bytes", "", "this is not JSON"],
    ["a cut off text", new TextDecoder().decode(encodeManifest(sample)).slice(0, -1), "this is not JSON"],
    ["null", "null", "manifest format undefined, this version reads 1"],
    ["a list", "[]", "manifest format undefined, this version reads 1"],
    ["no format", '{"a":1}', "manifest format undefined, this version reads 1"],
    ["a format as a text", '{"format":"1"}', 'manifest format "1", this version reads 1'],
    ["only a format", '{"format":1}', /^archiveId: /],
  ])("%s", (_what, text, problem) => {
    expect(refusal(textBytes(text))).toMatch(problem);
  });

  it("bytes that are not UTF-8", () => {
    const bytes = encodeManifest(sample);
    const at = new TextDecoder().decode(bytes).indexOf("audit_logs");
    expect(refusal(bytes.with(at, 0xff))).toBe("this is not JSON");
  });

  it("a format that this version does not know, before anything else is looked at", () => {
    expect(refusal(bytesOf({ ...sample, format: 2, surprise: true }))).toBe(
      "manifest format 2, this version reads 1",
    );
  });

  it.each(Object.keys(sample))("a manifest without %s", (name) => {
    const rest = Object.fromEntries(Object.entries(sample).filter(([key]) => key !== name));
    expect(refusal(bytesOf(rest))).not.toBe("");
  });

  it.each([
    ["the manifest", []],
    ["the table", ["table"]],
    ["the source", ["source"]],
    ["the time", ["time"]],
    ["a column", ["columns", 0]],
    ["the object's pin", ["object"]],
    ["a chunk", ["chunks", 2]],
    ["a bound", ["chunks", 0, "from"]],
    ["an exception", ["chunks", 1, "exceptions", 0]],
  ] satisfies [string, Path][])("a key that is not known in %s", (_where, path) => {
    expect(refusal(bytesOf(replaced(sample, [...path, "surprise"], 1)))).toMatch(/Unrecognized key/);
  });

  it("another row count, in a chunk, in the total, or in both", () => {
    expect(refusal(bytesOf(replaced(sample, ["chunks", 1, "rows"], 21)))).toBe(
      "chunks hold 61 rows, the manifest says 60",
    );
    expect(refusal(bytesOf(replaced(sample, ["rows"], "61")))).toBe(
      "chunks hold 60 rows, the manifest says 61",
    );
    const both = replaced(replaced(sample, ["chunks", 1, "rows"], 21), ["rows"], "61");
    expect(refusal(bytesOf(both))).toBe("the chunks do not hash to the root");
    const shifted = replaced(replaced(sample, ["chunks", 1, "rows"], 19), ["chunks", 2, "rows"], 31);
    expect(refusal(bytesOf(shifted))).toBe("the chunks do not hash to the root");
    expect(refusal(bytesOf(replaced(sample, ["chunks", 1, "rows"], 0)))).toMatch(/^chunks\.1\.rows: /);
  });

  it("chunks that changed places, came twice or are missing", () => {
    const [first, second, third] = chunks;
    for (const wrong of [
      [second, first, third],
      [first, third, second],
      [third, second, first],
    ]) {
      expect(refusal(bytesOf({ ...sample, chunks: wrong }))).toBe("the chunks do not hash to the root");
    }
    expect(refusal(bytesOf({ ...sample, chunks: [first, second] }))).toBe(
      "chunks hold 30 rows, the manifest says 60",
    );
    expect(refusal(bytesOf({ ...sample, chunks: [first, second, third, third], rows: "90" }))).toBe(
      "the row groups do not hold all chunks",
    );
    expect(refusal(bytesOf({ ...sample, chunks: [], rows: "0" }))).toMatch(/^chunks: /);
  });

  it("row groups that hold more or fewer chunks than there are", () => {
    for (const rowGroups of [[2], [2, 2], []]) {
      expect(refusal(bytesOf({ ...sample, rowGroups }))).toBe("the row groups do not hold all chunks");
    }
  });

  it("a chunk with a digest or a salt too few or too many", () => {
    for (const field of ["digests", "salts"] as const) {
      for (const wrong of [chunks[1][field].slice(1), [...chunks[1][field], chunks[1][field][0]], []]) {
        expect(refusal(bytesOf(replaced(sample, ["chunks", 1, field], wrong)))).toBe(
          "a chunk does not have 2 digests and salts",
        );
      }
    }
  });

  it("a root of something else", () => {
    expect(refusal(bytesOf({ ...sample, root: hashOf("other") }))).toBe("the chunks do not hash to the root");
  });

  it("any single character that is changed in the bytes, unless it is still a manifest of the same rows", () => {
    const bytes = encodeManifest(sample);
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 0x20, max: 0x7e }), (at, byte) => {
        const found = bytes.with(at, byte);
        if (refusal(found) !== "") return;
        // What is taken has the very same leaves; the rest is held by the SHA-256 in the journal.
        expect(decode(found).root).toBe(sample.root);
      }),
      { numRuns: 300 },
    );
  });
});

/** Any other value that the schema takes for what stands at `path`. */
function otherValue(path: Path, value: unknown): unknown {
  const name = path.at(-1);
  if (name === "format") return 2;
  if (name === "precision" || name === "scale") return 3;
  if (value === null) return name === "key" ? ["1"] : "other";
  if (typeof value === "number") return value + 1;
  const text = String(value);
  if (name === "select") return "text";
  if (name === "kind") return "bytea";
  if (name === "archiveId") return "11111111-3c0e-4d9a-9f55-0a4f6f0a9b11";
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return "2026-01-05";
  if (/^\d+$/.test(text) && name !== "field") return String(BigInt(text) + 1n);
  if (/^[0-9a-f]{32,64}$/.test(text)) return text.replace(/./, (digit) => (digit === "0" ? "1" : "0"));
  return name === "field" ? "01" : `${text}x`;
}

describe("every single value of a manifest", () => {
  /** Not bound by a leaf: only the SHA-256 of the whole manifest, in the journal and the catalog, holds these. */
  const HELD_BY_THE_JOURNAL_ALONE = [
    "segment",
    "predicate",
    "dayFrom",
    "dayTo",
    "table.oid",
    "source.systemIdentifier",
    "source.databaseOid",
    "source.tableOid",
    "fingerprint",
    "time.column",
    "time.zone",
    "key.0",
    "columns.*.attribute",
    "columns.*.attnum",
    "columns.*.precision",
    "columns.*.scale",
    "object.key",
    "object.versionId",
    "object.etag",
    "object.sha256",
    "object.bytes",
    "chunks.*.salts.*",
    "chunks.*.exceptions.*.column",
    "chunks.*.exceptions.*.row",
    "chunks.*.exceptions.*.rows",
    "chunks.*.exceptions.*.field",
    "run",
    "epoch",
    "exportedAt",
    "writer",
  ];

  it("is bound by the root, or is one of these", () => {
    const free = scalars(sample).filter((path) => {
      let value: unknown = sample;
      for (const step of path) value = (value as Record<string | number, unknown>)[step];
      return refusal(bytesOf(replaced(sample, path, otherValue(path, value)))) === "";
    });
    const names = free.map((path) =>
      path
        .map((step, at) => (typeof step === "number" && path[0] !== "key" && at > 0 ? "*" : step))
        .join("."),
    );
    expect([...new Set(names)]).toEqual(HELD_BY_THE_JOURNAL_ALONE);
  });
});

describe("a chunk's leaf changes with", () => {
  const [chunk] = chunks;
  const leafOf = (manifest: Manifest, one: ManifestChunk): string =>
    Buffer.from(
      leafDigest(
        newHash,
        chunkHeader(manifest, one),
        one.digests.map((hex) => Buffer.from(hex, "hex")),
      ),
    ).toString("hex");
  const original = leafOf(sample, chunk);
  const column = (name: string, value: unknown): [Manifest, ManifestChunk] => [
    replaced(sample, ["columns", 1, name], value),
    chunk,
  ];

  it.each<[string, [Manifest, ManifestChunk]]>([
    ["the archive", [{ ...sample, archiveId: "11111111-3c0e-4d9a-9f55-0a4f6f0a9b11" }, chunk]],
    ["the pipeline", [{ ...sample, pipeline: "other" }, chunk]],
    ["the rule", [{ ...sample, rule: "other" }, chunk]],
    ["the table's schema", [replaced(sample, ["table", "schema"], "other"), chunk]],
    ["the table's name", [replaced(sample, ["table", "name"], "other"), chunk]],
    ["the segment", [sample, { ...chunk, segment: "000000000043-0123456789abcdef" }]],
    ["the day", [sample, { ...chunk, day: "2026-01-04" }]],
    ["the number of rows", [sample, { ...chunk, rows: 11 }]],
    ["the time where it begins", [sample, replaced(chunk, ["from", "time"], "2026-01-03 00:00:00.000001")]],
    ["the key where it begins", [sample, replaced(chunk, ["from", "key"], ["1"])]],
    ["the time where it ends", [sample, replaced(chunk, ["to", "time"], "2026-01-03 01:00:00.000001")]],
    ["the key where it ends", [sample, replaced(chunk, ["to", "key"], ["101"])]],
    ["a key where it ends that is not there", [sample, replaced(chunk, ["to", "key"], null)]],
    ["a column's name", column("name", "at")],
    ["a column's type", column("type", "timestamp without time zone")],
    ["the form of a column's fields", column("kind", "timestamp")],
    ["how a column is selected", column("select", "text")],
    ["the order of the columns", [{ ...sample, columns: sample.columns.toReversed() }, chunk]],
    ["a column that is gone", [{ ...sample, columns: sample.columns.slice(1) }, chunk]],
    ["a digest", [sample, replaced(chunk, ["digests", 0], hashOf("other"))]],
  ])("%s", (_what, [manifest, one]) => {
    expect(leafOf(manifest, one)).not.toBe(original);
  });

  it("not with what says nothing about its rows", () => {
    expect(leafOf({ ...sample, writer: "x", run: "y", fingerprint: hashOf("z") }, chunk)).toBe(original);
  });

  it("so no chunk can stand in for one of another segment, day or table: all leaves differ", () => {
    const other = sampleManifest({ chunks: chunks.map((one) => ({ ...one, segment: "s2" })) });
    const leaves = [sample, other].flatMap((manifest) => manifest.chunks.map((one) => leafOf(manifest, one)));
    expect(new Set(leaves).size).toBe(6);
    expect(manifestRoot(newHash, other)).not.toBe(sample.root);
  });
});
