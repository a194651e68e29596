/** The parts of the byte-level reader, each held against another implementation or the values of its specification. */
import fc from "fast-check";
import { xxhash64 } from "hyparquet/src/xxhash.js";
import { ByteWriter } from "hyparquet-writer";
import { createBloomFilter, sbbfContains, sbbfInsert, writeBloomFilter } from "hyparquet-writer/src/bloom.js";
import { deltaBinaryPack } from "hyparquet-writer/src/delta.js";
import { writeRleBitPackedHybrid } from "hyparquet-writer/src/encoding.js";
import { describe, expect, it } from "vitest";
import { filterHolds, readBloomFilter } from "../../../src/parquet/decode/bloom-filter.ts";
import { readDeltas } from "../../../src/parquet/decode/delta.ts";
import { FieldSink } from "../../../src/parquet/decode/field-sink.ts";
import { NumericFields } from "../../../src/parquet/decode/numeric-fields.ts";
import { readRuns } from "../../../src/parquet/decode/runs.ts";
import { ThriftReader } from "../../../src/parquet/decode/thrift.ts";
import { XxHash64 } from "../../../src/parquet/decode/xxhash64.ts";
import { encodeNumeric, numericFromText } from "../../../src/rows/numeric.ts";
import { bytesOf, rawColumn } from "../../support/copy-stream.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function hashOf(bytes: Uint8Array): bigint {
  const hash = new XxHash64();
  hash.hash(bytes, 0, bytes.length);
  return (BigInt(hash.high) << 32n) | BigInt(hash.low);
}

describe("xxHash64", () => {
  it("is that of the specification", () => {
    expect(hashOf(utf8(""))).toBe(0xef46db3751d8e999n);
    expect(hashOf(utf8("a"))).toBe(0xd24ec4f1a98c6e5bn);
    expect(hashOf(utf8("abc"))).toBe(0x44bc2cf5ad770999n);
  });

  it("is that of another implementation, of any bytes, wherever they lie", () => {
    const one = new XxHash64();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 7 }), (bytes, before) => {
        const moved = new Uint8Array(before + bytes.length + 3).fill(0xa5);
        moved.set(bytes, before);
        one.hash(moved, before, before + bytes.length);
        expect((BigInt(one.high) << 32n) | BigInt(one.low)).toBe(xxhash64(bytes));
      }),
      { numRuns: 500 },
    );
  });
});

describe("a bloom filter", () => {
  const bytesOfFilter = (blocks: Uint32Array): Uint8Array => {
    const writer = new ByteWriter();
    writeBloomFilter(writer, blocks);
    return writer.getBytes().slice();
  };

  it("holds what was put in, and no more than another implementation says", () => {
    const values = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 60 });
    fc.assert(
      fc.property(values, values, fc.integer({ min: 1, max: 200 }), (inside, others, size) => {
        const blocks = createBloomFilter(size);
        for (const value of inside) sbbfInsert(blocks, xxhash64(value));
        const filter = readBloomFilter(bytesOfFilter(blocks));
        const hash = new XxHash64();
        for (const value of [...inside, ...others]) {
          hash.hash(value, 0, value.length);
          expect(filterHolds(filter, hash.low, hash.high)).toBe(sbbfContains(blocks, xxhash64(value)));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("is refused when it is cut, too long, or of another make", () => {
    const filter = bytesOfFilter(createBloomFilter(10));
    expect(readBloomFilter(filter)).toHaveLength(32);
    expect(() => readBloomFilter(filter.slice(0, -1))).toThrow(/a bloom filter of 32 bytes in 31/);
    expect(() => readBloomFilter(Uint8Array.of(...filter, 0))).toThrow(/a bloom filter of 32 bytes in 33/);
    // A size of 32; then three unions of which the first, one after the other, has another member than 1.
    const header = [0x15, 64, 0x1c, 0x1c, 0, 0, 0x1c, 0x1c, 0, 0, 0x1c, 0x1c, 0, 0, 0];
    expect(readBloomFilter(Uint8Array.of(...header, ...new Uint8Array(32)))).toHaveLength(32);
    for (const member of [3, 7, 11]) {
      const other = Uint8Array.of(...header, ...new Uint8Array(32));
      other[member] = 0x2c;
      expect(() => readBloomFilter(other)).toThrow(/a bloom filter of another make/);
    }
    const uneven = Uint8Array.of(0x15, 66, ...header.slice(2), ...new Uint8Array(33));
    expect(() => readBloomFilter(uneven)).toThrow(/a bloom filter of 33 bytes/);
  });
});

describe("differences", () => {
  const int64 = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 33n), max: 2n ** 33n }),
    fc.bigInt({ min: -3n, max: 3n }),
    fc.constantFrom(0n, -1n, 2n ** 32n - 1n, 2n ** 32n, -(2n ** 32n), 2n ** 63n - 1n, -(2n ** 63n)),
  );
  /** Values that go up or down by little, from anywhere: where the lower halves of 64 bits wrap around. */
  const walks = fc
    .tuple(int64, fc.array(fc.bigInt({ min: -(2n ** 20n), max: 2n ** 24n }), { maxLength: 300 }))
    .map(([first, steps]) => {
      let value = first;
      return [first, ...steps.map((step) => (value = BigInt.asIntN(64, value + step)))];
    });

  it("are summed up to what another implementation took apart, at 64 and at 32 bits", () => {
    fc.assert(
      fc.property(fc.oneof(walks, fc.array(int64, { minLength: 1, maxLength: 300 })), (values) => {
        const writer = new ByteWriter();
        deltaBinaryPack(writer, values, "INT64");
        const found = readDeltas(writer.getBytes().slice(), values.length);
        const words = values.map((value) => [
          Number(BigInt.asIntN(32, value)),
          Number(BigInt.asIntN(32, value >> 32n)),
        ]);
        expect([...found.low].map((low, at) => [low, found.high[at]])).toEqual(words);
        expect(found.end).toBe(writer.getBytes().length);

        const narrow = Int32Array.from(values, (value) => Number(BigInt.asIntN(32, value)));
        const other = new ByteWriter();
        deltaBinaryPack(other, narrow, "INT32");
        expect([...readDeltas(other.getBytes().slice(), narrow.length).low]).toEqual([...narrow]);
      }),
      { numRuns: 300 },
    );
  });
});

describe("the text of a numeric", () => {
  /** The field, as its length and bytes. */
  function fieldOf(text: string): Uint8Array {
    const bytes = utf8(text);
    const [starts, lengths] = [Int32Array.of(0), Int32Array.of(bytes.length)];
    const fields = new NumericFields({ shape: "bytes", count: 1, bytes, starts, lengths });
    const sink = new FieldSink();
    sink.reserve(fields.bytesMax(0, 1));
    const room = sink.bytes.length;
    fields.write(sink, 0, 1);
    expect(sink.length).toBeLessThanOrEqual(room);
    return sink.take();
  }

  const expected = (text: string): Uint8Array | null => {
    const parts = numericFromText(text);
    return parts === null ? null : rawColumn([encodeNumeric(parts)]);
  };

  it.each(["0", "-0", "00.00", "7", "-7.50", "0007.5", "10000", "0.0001", "123456789.000000001", "NaN"])(
    "%s is its wire form",
    (text) => {
      expect(fieldOf(text)).toEqual(expected(text));
    },
  );

  it.each(["Infinity", "-Infinity"])("%s is its wire form", (text) => {
    expect(fieldOf(text)).toEqual(expected(text));
  });

  it.each([
    "",
    "-",
    ".",
    "1.",
    ".5",
    "-.5",
    "1.2.3",
    "1e5",
    "+1",
    " 1",
    "--1",
    "1-",
    "nan",
    "-NaN",
    "Infinity!",
  ])("%j is refused", (text) => {
    expect(() => fieldOf(text)).toThrow(/a value is not the text of a numeric/);
  });

  it("is the wire form of whatever digits there are, or refused", () => {
    const text = fc
      .array(fc.constantFrom(..."0123456789", "0000", "9999", ".", "-"), { maxLength: 40 })
      .map((parts) => parts.join(""));
    const number = fc
      .tuple(fc.constantFrom("", "-"), fc.stringMatching(/^\d{1,30}$/), fc.stringMatching(/^\d{0,30}$/))
      .map(([sign, whole, fraction]) => `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}`);
    fc.assert(
      fc.property(fc.oneof(text, number), (one) => {
        const field = expected(one);
        if (field === null) expect(() => fieldOf(one)).toThrow(/not the text/);
        else expect(fieldOf(one)).toEqual(field);
      }),
      { numRuns: 600 },
    );
  });

  it("of more digits than the wire form has room for is refused", () => {
    expect(fieldOf(`0.${"1".repeat(0x3fff)}`)).toEqual(expected(`0.${"1".repeat(0x3fff)}`));
    expect(() => fieldOf(`0.${"1".repeat(0x4000)}`)).toThrow(/not the text/);
    expect(() => fieldOf("1".repeat(200_000))).toThrow(/too many digits/);
    expect(() => fieldOf(`1${"0".repeat(200_000)}`)).toThrow(/too many digits/);
  });
});

describe("runs", () => {
  it("are what another implementation wrote, at any width", () => {
    const columns = fc.integer({ min: 1, max: 24 }).chain((bits) =>
      fc.tuple(
        fc.constant(bits),
        fc
          .array(fc.tuple(fc.nat({ max: 2 ** bits - 1 }), fc.integer({ min: 1, max: 30 })), { minLength: 1 })
          .map((runs) => runs.flatMap(([value, count]) => Array.from({ length: count }, () => value))),
      ),
    );
    fc.assert(
      fc.property(columns, ([bits, values]) => {
        const writer = new ByteWriter();
        writeRleBitPackedHybrid(writer, values, bits);
        const found = new Uint32Array(values.length);
        readRuns(writer.getBytes().slice(), bits, values.length, found);
        expect([...found]).toEqual(values);
      }),
      { numRuns: 300 },
    );
  });
});

describe("Thrift's structures", () => {
  const read = (...bytes: number[]): unknown => new ThriftReader(bytesOf(...bytes), 100).struct();

  it("are read by their fields", () => {
    // 1: i32 -3; 2: true; 3: binary "ab"; 5: list of two i64; 6: a structure; 300, far away: a byte.
    const far = [0x03, 0xd8, 0x04, 0xff];
    const bytes = [0x15, 5, 0x11, 0x18, 2, 97, 98, 0x29, 0x26, 2, 0x80, 1, 0x1c, 0x15, 2, 0, ...far, 0];
    expect(read(...bytes)).toEqual(
      new Map<number, unknown>([
        [1, -3],
        [2, true],
        [3, utf8("ab")],
        [5, [1, 64]],
        [6, new Map([[1, 1]])],
        [300, -1],
      ]),
    );
  });

  it.each<[string, RegExp, number[]]>([
    ["an end that is missing", /without an end/, [0x15, 2]],
    ["a text that is longer than what there is", /a text of 100 bytes/, [0x18, 100, 97]],
    [
      "a list of more elements than bytes",
      /a list of 2097151 elements/,
      [0x19, 0xf5, 0xff, 0xff, 0x7f, 0, 0],
    ],
    [
      "a number beyond what can be counted",
      /too large/,
      [0x16, ...Array.from({ length: 9 }, () => 0xff), 1, 0],
    ],
    [
      "a number without an end",
      /too large|without an end/,
      [0x16, ...Array.from({ length: 40 }, () => 0x80)],
    ],
    ["a map, which Parquet has not", /type 11/, [0x1b, 0]],
    ["structures within structures without end", /nested too deep/, Array.from({ length: 99 }, () => 0x1c)],
    ["lists within lists without end", /nested too deep/, [0x19, ...Array.from({ length: 99 }, () => 0x19)]],
  ])("are refused with %s", (_, problem, bytes) => {
    expect(() => read(...bytes)).toThrow(problem);
  });
});
