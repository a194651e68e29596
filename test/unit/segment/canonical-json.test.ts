/** RFC 8785: one text for one value. The examples are the RFC's own, sections 3.2.2 to 3.2.4 and appendix B. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { canonicalBytes, canonicalJson, type Json } from "../../../src/segment/canonical-json.ts";

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The double with these bits, as the RFC's appendix B names them. */
function double(bits: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${bits}`));
  return view.getFloat64(0);
}

describe("canonical JSON", () => {
  it("of the example in section 3.2.2 has exactly the bytes of section 3.2.4", () => {
    const input = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    expect(hexOf(canonicalBytes(JSON.parse(input) as Json))).toBe(
      [
        "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b3333333333333333",
        "332e333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac245c7530",
        "3030665c6e4127425c225c5c5c5c5c222f227d",
      ].join(""),
    );
  });

  it("has the same bytes whether it is put together as text or as bytes", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, stringUnit: "binary" }), (value) => {
        expect(hexOf(canonicalBytes(value as Json))).toBe(
          hexOf(new TextEncoder().encode(canonicalJson(value as Json))),
        );
      }),
    );
    const long = [
      "x".repeat(5_000),
      `${"y".repeat(3_000)}\u20ac${"z".repeat(3_000)}`,
      "\ud83d\ude00".repeat(2_000),
    ];
    expect(hexOf(canonicalBytes(long))).toBe(hexOf(new TextEncoder().encode(canonicalJson(long))));
  });

  it("sorts members by UTF-16 code units, as the example in section 3.2.3", () => {
    const members = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    expect([...canonicalJson(members).matchAll(/:"(.*?)"/g)].map(([, value]) => value)).toEqual([
      "Carriage Return",
      "One",
      "Control",
      "Latin Small Letter O With Diaeresis",
      "Euro Sign",
      "Emoji: Grinning Face",
      "Hebrew Letter Dalet With Dagesh",
    ]);
  });

  it.each([
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["ffefffffffffffff", "-1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef4f", "999999999999999900000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555554", "333333333.33333325"],
    ["41b3de4355555555", "333333333.3333333"],
    ["41b3de4355555556", "333333333.3333334"],
    ["41b3de4355555557", "333333333.33333343"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ])("prints the number %s of appendix B as %s", (bits, text) => {
    expect(canonicalJson(double(bits))).toBe(text);
  });

  it.each(["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])(
    "refuses the number %s of appendix B, which JSON cannot hold",
    (bits) => expect(() => canonicalJson([double(bits)])).toThrow(/^E_INTERNAL canonical JSON: /),
  );

  it("refuses half of a surrogate pair, in a value and in a name, as section 3.2.2.2 demands", () => {
    expect(() => canonicalJson("a\ud83d")).toThrow(/^E_INTERNAL canonical JSON: /);
    expect(() => canonicalJson({ "\ude00": 1 })).toThrow(/^E_INTERNAL canonical JSON: /);
  });

  it("refuses what is no JSON value instead of leaving it out", () => {
    for (const value of [undefined, 1n, () => 1, Symbol("x")]) {
      expect(() => canonicalJson({ value } as unknown as Json)).toThrow(/^E_INTERNAL canonical JSON: /);
    }
  });

  it("keeps empty containers, nesting and a member named __proto__", () => {
    const value = JSON.parse('{"b":[[],{},[{"z":null,"a":""}]],"__proto__":1}') as Json;
    expect(canonicalJson(value)).toBe('{"__proto__":1,"b":[[],{},[{"a":"","z":null}]]}');
  });
});

const json = fc.jsonValue({ stringUnit: "binary", maxDepth: 4 }).map((value) => value as Json);

describe("for any JSON value", () => {
  it("the text is read back as the same value and printed the same again", () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value);
        const again = JSON.parse(text) as Json;
        expect(again).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(again)).toBe(text);
      }),
    );
  });

  it("the order in which members were set does not matter", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(fc.string(), json), { selector: ([name]) => name }), (members) => {
        const forward = Object.fromEntries(members);
        const backward = Object.fromEntries(members.toReversed());
        expect(canonicalJson(forward)).toBe(canonicalJson(backward));
      }),
    );
  });
});
