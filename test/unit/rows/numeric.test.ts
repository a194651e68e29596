/** `numeric` between its wire form, its digits and its text: exact in all directions. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeNumeric,
  encodeNumeric,
  numericFromText,
  type NumericParts,
  numericToText,
} from "../../../src/rows/numeric.ts";
import { fromHex, toHex } from "../../../src/rows/hex.ts";
import { joined } from "../../support/copy-stream.ts";

/** As PostgreSQL 18's `numeric_send` gives them: value as `numeric_out` prints it, bytes in hex. */
const GOLDEN: readonly (readonly [text: string, wire: string])[] = [
  ["0", "0000000000000000"],
  ["0.00", "0000000000000002"],
  ["1", "00010000000000000001"],
  ["-1", "00010000400000000001"],
  ["10", "0001000000000000000a"],
  ["9999", "0001000000000000270f"],
  ["10000", "00010001000000000001"],
  ["10001", "000200010000000000010001"],
  ["1.5", "000200000000000100011388"],
  ["0.5", "0001ffff000000011388"],
  ["0.0001", "0001ffff000000040001"],
  ["0.00010", "0001ffff000000050001"],
  ["0.00001", "0001fffe0000000503e8"],
  ["123456789.123456789", "0006000200000009000109291a8504d2162e2328"],
  ["100000000000000000000", "00010005000000000001"],
  ["12300", "0002000100000000000108fc"],
  ["-1234567890123456789012345678.9012345678", "000a00064000000a04d2162e23340d801ed204d2162e23340d801e78"],
  ["0.0000000000000001", "0001fffc000000100001"],
  ["0.1000", "0001ffff0000000403e8"],
  ["0.10001", "0002ffff0000000503e803e8"],
  ["99999999999999999999999999999999999999", "000a0009000000000063270f270f270f270f270f270f270f270f270f"],
  ["1.0000", "00010000000000040001"],
  ["10000.0000", "00010001000000040001"],
  [`1${"0".repeat(1_000)}`, "000100fa000000000001"],
  [`0.${"0".repeat(99)}1`, "0001ffe7000000640001"],
  ["NaN", "00000000c0000000"],
  ["Infinity", "00000000d0000020"],
  ["-Infinity", "00000000f0000020"],
];

const decode = (wire: Uint8Array): NumericParts | null => decodeNumeric(wire, 0, wire.length);

const parts: fc.Arbitrary<NumericParts> = fc.record({
  unscaled: fc.oneof(
    fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }),
    fc.bigInt({ min: -10n, max: 10n }),
    // Runs of zeros, where base-10000 digits are stripped.
    fc
      .tuple(fc.bigInt({ min: -9_999n, max: 9_999n }), fc.nat({ max: 80 }))
      .map(([digits, zeros]) => digits * 10n ** BigInt(zeros)),
  ),
  scale: fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 100 })),
});

describe("numeric", () => {
  it.each(GOLDEN)("%s has Postgres' wire form, both ways", (text, wire) => {
    const found = decode(fromHex(wire)) as NumericParts;
    expect(numericToText(found)).toBe(text);
    expect(toHex(encodeNumeric(found))).toBe(wire);
    // Postgres sends an infinity with a scale of 32, which is a sign bit of its; the text cannot tell.
    if (!text.endsWith("Infinity")) {
      expect(toHex(encodeNumeric(numericFromText(text) as NumericParts))).toBe(wire);
    }
  });

  it("survives digits to wire to digits to text and back", () => {
    fc.assert(
      fc.property(parts, (value) => {
        const wire = encodeNumeric(value);
        expect(decode(wire)).toEqual(value);
        const text = numericToText(value);
        expect(numericFromText(text)).toEqual(value);
        expect(toHex(encodeNumeric(numericFromText(text) as NumericParts))).toBe(toHex(wire));
      }),
      { numRuns: 1_000 },
    );
  });

  it("strips zero digits at both ends, as Postgres does: a value of a scale has one wire form", () => {
    fc.assert(
      fc.property(parts, (value) => {
        const wire = encodeNumeric(value);
        const view = new DataView(wire.buffer);
        const count = view.getInt16(0);
        expect(wire).toHaveLength(8 + 2 * count);
        if (count === 0) {
          expect([value.unscaled, view.getInt16(2), view.getUint16(4)]).toEqual([0n, 0, 0]);
        } else {
          expect(view.getUint16(8)).toBeGreaterThan(0);
          expect(view.getUint16(6 + 2 * count)).toBeGreaterThan(0);
        }
      }),
    );
  });

  it("holds the extremes that the type allows", () => {
    for (const text of [`9${"9".repeat(131_071)}`, `-0.${"0".repeat(16_382)}1`]) {
      const value = numericFromText(text) as NumericParts;
      expect(numericToText(decode(encodeNumeric(value)) as NumericParts) === text).toBe(true);
    }
  });

  it("reads a field in the middle of a buffer", () => {
    const wire = encodeNumeric({ unscaled: -12_345n, scale: 2 });
    const whole = joined([fromHex("ffffff"), wire, fromHex("ffff")]);
    expect(decodeNumeric(whole, 3, wire.length)).toEqual({ unscaled: -12_345n, scale: 2 });
  });

  it.each([
    ["is cut", "00010000000000"],
    ["has fewer digits than it says", "000200000000000100011388".slice(0, 20)],
    ["has more digits than it says", "000100000000000000010001"],
    ["has the most digits and none of them", "ffff000000000000"],
    ["has an unknown sign", "00010000800000000001"],
    ["has a digit of 10000", "00010000000000002710"],
    ["has digits beyond its scale", "000200000000000000011388"],
  ])("is null when the field %s", (_, wire) => {
    expect(decode(fromHex(wire))).toBeNull();
  });

  it("never throws, whatever the bytes are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        const found = decode(bytes);
        if (found !== null) expect(numericFromText(numericToText(found))?.unscaled).toBe(found.unscaled);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(["", "-", ".", "1.", ".5", "+1", "1e5", " 1", "1 ", "1\n", "--1", "infinity", "nan", "0x10", "١"])(
    "does not take %j for a numeric",
    (text) => {
      expect(numericFromText(text)).toBeNull();
    },
  );
});
