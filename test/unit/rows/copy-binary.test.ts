/** The decoder of COPY BINARY: whatever the pieces, the same rows; whatever is wrong, an error and never a row too few. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isFirnlineError } from "../../../src/errors.ts";
import { RawColumns, type RawRows } from "../../../src/rows/copy-binary.ts";
import { CopyBinaryDecoder } from "../../../src/rows/copy-decoder.ts";
import {
  bytesOf,
  copyStream,
  type FieldBytes,
  int16,
  int32,
  joined,
  rawRows,
  type StreamOptions,
} from "../../support/copy-stream.ts";

/** Pushes the stream in pieces of `sizes`, over and over, and gives back the rows. */
function decode(stream: Uint8Array, columnCount: number, sizes: readonly number[]): RawRows {
  const columns = new RawColumns(columnCount);
  const decoder = new CopyBinaryDecoder(columns, () => {});
  let at = 0;
  for (let turn = 0; at < stream.length; turn += 1) {
    const size = sizes[turn % sizes.length] as number;
    decoder.push(stream.subarray(at, at + size));
    at += size;
  }
  decoder.finish();
  return columns.take();
}

const code = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return isFirnlineError(error) ? `${error.code} ${error.problem}` : String(error);
  }
  return "no error";
};

const field: fc.Arbitrary<FieldBytes> = fc.option(fc.uint8Array({ maxLength: 60 }), { freq: 4 });

const table = fc.integer({ min: 1, max: 5 }).chain((columnCount) =>
  fc.record({
    columnCount: fc.constant(columnCount),
    rows: fc.array(fc.array(field, { minLength: columnCount, maxLength: columnCount }), { maxLength: 12 }),
  }),
);

describe("the decoder of COPY BINARY", () => {
  it("gives every field as it was sent, in pieces of any size", () => {
    fc.assert(
      fc.property(
        table,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
        ({ columnCount, rows }, sizes) => {
          expect(decode(copyStream(rows), columnCount, sizes)).toEqual(rawRows(columnCount, rows));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("takes a stream byte by byte, and as one piece", () => {
    const rows = [
      [bytesOf(1, 2, 3), null, bytesOf()],
      [null, null, null],
      [bytesOf(), bytesOf(0xff), new Uint8Array(41).fill(7)],
    ];
    const stream = copyStream(rows);
    for (const size of [1, 2, 3, 5, 18, 19, 20, stream.length]) {
      expect(decode(stream, 3, [size])).toEqual(rawRows(3, rows));
    }
  });

  it("takes empty pieces in between", () => {
    const columns = new RawColumns(1);
    const decoder = new CopyBinaryDecoder(columns, () => {});
    for (const byte of copyStream([[bytesOf(9)]])) {
      decoder.push(bytesOf());
      decoder.push(bytesOf(byte));
    }
    decoder.push(bytesOf());
    decoder.finish();
    expect(columns.take()).toEqual(rawRows(1, [[bytesOf(9)]]));
  });

  it("copies what it is given: the caller may reuse the piece's memory", () => {
    const stream = copyStream([[bytesOf(1, 2, 3, 4)], [bytesOf(5, 6)]]);
    const columns = new RawColumns(1);
    const decoder = new CopyBinaryDecoder(columns, () => {});
    const piece = new Uint8Array(7);
    for (let at = 0; at < stream.length; at += piece.length) {
      const size = Math.min(piece.length, stream.length - at);
      piece.set(stream.subarray(at, at + size));
      decoder.push(piece.subarray(0, size));
      piece.fill(0xee);
    }
    decoder.finish();
    expect(columns.take()).toEqual(rawRows(1, [[bytesOf(1, 2, 3, 4)], [bytesOf(5, 6)]]));
  });

  it("takes rows far larger than its buffer, small ones around them", () => {
    const huge = new Uint8Array(3 * 1024 * 1024).map((_, index) => index * 31);
    const rows = [
      [bytesOf(1), bytesOf(2)],
      [huge, bytesOf(3)],
      [bytesOf(4), huge.subarray(0, 70_000)],
      [null, null],
    ];
    expect(decode(copyStream(rows), 2, [9_000])).toEqual(rawRows(2, rows));
    expect(decode(copyStream(rows), 2, [65_536, 1])).toEqual(rawRows(2, rows));
  });

  it("calls onRow after each row, so that a chunk can be cut right there", () => {
    const rows = Array.from({ length: 10 }, (_, row) => [int32(row)]);
    const columns = new RawColumns(1);
    const chunks: RawRows[] = [];
    const decoder = new CopyBinaryDecoder(columns, () => {
      if (columns.rows === 4) chunks.push(columns.take());
    });
    decoder.push(copyStream(rows));
    decoder.finish();
    chunks.push(columns.take());
    expect(chunks.map((chunk) => chunk.rows)).toEqual([4, 4, 2]);
    expect(chunks[1]).toEqual(rawRows(1, rows.slice(4, 8)));
  });

  it("gives no rows for an empty result, and is done only at the end marker", () => {
    const columns = new RawColumns(2);
    const decoder = new CopyBinaryDecoder(columns, () => {});
    decoder.push(copyStream([], { end: false }));
    expect(decoder.done).toBe(false);
    expect(code(() => decoder.finish())).toContain("ended in the middle");
    decoder.push(int16(-1));
    expect(decoder.done).toBe(true);
    decoder.finish();
    expect(columns.take()).toEqual(rawRows(2, []));
  });
});

describe("a stream that is not what Postgres sends", () => {
  const rows = [[bytesOf(1, 2, 3), null]];
  const streamOf = (options: StreamOptions): Uint8Array => copyStream(rows, options);

  it.each<[string, Uint8Array, string]>([
    ["stops before the header", new Uint8Array(0), "ended in the middle"],
    ["stops in the header", streamOf({}).subarray(0, 12), "ended in the middle"],
    ["stops in a row", streamOf({}).subarray(0, 25), "ended in the middle"],
    ["lacks the end marker", streamOf({ end: false }), "ended in the middle"],
    ["has half an end marker", joined([streamOf({ end: false }), bytesOf(0xff)]), "ended in the middle"],
    ["goes on after the end marker", joined([streamOf({}), bytesOf(0)]), "bytes follow the end marker"],
    ["comes twice", joined([streamOf({}), streamOf({})]), "bytes follow the end marker"],
    ["has another signature", joined([bytesOf(0x51), streamOf({}).subarray(1)]), "the signature is wrong"],
    ["is text", new TextEncoder().encode("1\tone\n2\ttwo\n3\tthree\n"), "the signature is wrong"],
    ["has a header extension", streamOf({ extension: bytesOf(1, 2) }), "unknown header extension"],
    ["carries OIDs", streamOf({ flags: 1 << 16 }), "unknown header flags"],
    ["has a critical flag", streamOf({ flags: 1 << 31 }), "unknown header flags"],
    ["has a row of fewer fields", copyStream([[bytesOf(1)]]), "a row has 1 fields, 2 were asked for"],
    ["has a row of more fields", copyStream([[null, null, null]]), "a row has 3 fields, 2 were asked for"],
    [
      "has a negative field count",
      joined([copyStream([], { end: false }), int16(-2)]),
      "a row has -2 fields",
    ],
    [
      "has a negative length",
      joined([copyStream([], { end: false }), int16(2), int32(-2), int32(-1), int16(-1)]),
      "a field has length -2",
    ],
    [
      "promises a field that never comes",
      joined([copyStream([], { end: false }), int16(2), int32(0x7fff_ffff), int32(-1), int16(-1)]),
      "ended in the middle",
    ],
  ])("%s", (_, stream, problem) => {
    for (const size of [1, 7, 1_000]) {
      expect(code(() => decode(stream, 2, [size]))).toMatch(new RegExp(`^E_DATABASE .*${problem}`));
    }
  });

  it("never passes for whole when it was cut anywhere", () => {
    const stream = copyStream([
      [bytesOf(1, 2), null],
      [bytesOf(), bytesOf(3)],
    ]);
    for (let length = 0; length < stream.length; length += 1) {
      expect(code(() => decode(stream.subarray(0, length), 2, [5]))).toMatch(/^E_DATABASE /);
    }
  });

  it("ignores the low flags, which are free for notes that a reader may skip", () => {
    expect(decode(streamOf({ flags: 0xffff }), 2, [6])).toEqual(rawRows(2, rows));
  });
});
