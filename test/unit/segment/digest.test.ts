/**
 * The digests are permanent: bytes that were archived years ago must hash the same. So every step is spelled out here
 * a second time with node:crypto alone, and constants that another program computed stand beside it.
 */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Json } from "../../../src/segment/canonical-json.ts";
import { columnDigest, leafDigest, merkleRoot, type NewSha256 } from "../../../src/segment/digest.ts";

const newHash: NewSha256 = () => createHash("sha256");
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const sha256 = (...parts: (string | Uint8Array)[]): Buffer =>
  createHash("sha256")
    .update(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "hex") : part))))
    .digest();

const SALT = "000102030405060708090a0b0c0d0e0f";
/** An int4 column in COPY layout: 1, NULL, -2. */
const INT4_FIELDS = ["00000004", "00000001", "ffffffff", "00000004", "fffffffe"].join("");
/** A text column in COPY layout: "é", "", "a". */
const TEXT_FIELDS = ["00000002", "c3a9", "00000000", "00000001", "61"].join("");
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

describe("a column digest", () => {
  it("is SHA-256 over the salt and the fields as COPY sends them", () => {
    const digest = hexOf(columnDigest(newHash, bytes(SALT), bytes(INT4_FIELDS)));
    expect(digest).toBe(hexOf(sha256(SALT, INT4_FIELDS)));
    expect(digest).toBe("4c92d9e493688c60378359fe40eb7f1f805a69690adbae78e7a2264b3c0d991c");
    expect(hexOf(columnDigest(newHash, bytes(SALT), bytes(TEXT_FIELDS)))).toBe(
      "a375fadf13b85e32576f0be3fe0f4289a3082d4376408ae0432fffc1dcea4f4d",
    );
  });

  it("tells NULL from an empty text, and where one field ends from where the next begins", () => {
    const of = (fields: string): string => hexOf(columnDigest(newHash, bytes(SALT), bytes(fields)));
    expect(of("ffffffff")).not.toBe(of("00000000"));
    expect(of("000000016100000000")).not.toBe(of("000000000000000161"));
  });

  it("needs a salt of exactly 16 bytes", () => {
    for (const length of [0, 15, 17]) {
      expect(() => columnDigest(newHash, new Uint8Array(length), bytes(INT4_FIELDS))).toThrow(
        /^E_INTERNAL digest: a salt has \d+ bytes/,
      );
    }
  });
});

describe("a chunk's leaf", () => {
  const header: Json = { rows: 3, day: "2026-01-03", columns: [{ name: "id" }] };
  const headerHex = Buffer.from('{"columns":[{"name":"id"}],"day":"2026-01-03","rows":3}').toString("hex");
  const columns = [sha256(SALT, INT4_FIELDS), sha256(SALT, TEXT_FIELDS)];

  it("is SHA-256 over 0x00, the header's length, the header and the column digests", () => {
    const digest = hexOf(leafDigest(newHash, header, columns));
    expect(digest).toBe(hexOf(sha256("00", "00000037", headerHex, ...columns)));
    expect(digest).toBe("0e4afffe87994d705b37159df8adfbe169b808cf089ffafd0be3e9a528a51fc1");
  });

  it("does not depend on the order in which the header was written down", () => {
    const reordered = { columns: [{ name: "id" }], day: "2026-01-03", rows: 3 };
    expect(hexOf(leafDigest(newHash, reordered, columns))).toBe(hexOf(leafDigest(newHash, header, columns)));
  });

  it("changes when columns change places, one is missing or one comes twice", () => {
    const [first, second] = columns as [Buffer, Buffer];
    const variants = [[first, second], [second, first], [first], [first, second, second], []];
    const leaves = new Set(variants.map((variant) => hexOf(leafDigest(newHash, header, variant))));
    expect(leaves.size).toBe(variants.length);
  });

  it("refuses a column digest that is not 32 bytes", () => {
    expect(() => leafDigest(newHash, header, [new Uint8Array(31)])).toThrow(
      /^E_INTERNAL digest: a column digest has 31 bytes/,
    );
  });
});

/** The leaves that the reference implementation of certificate transparency is tested with. */
const RFC_6962_INPUTS = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
];
const RFC_6962_ROOTS = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/** RFC 6962, section 2.1, written down by levels instead of by recursion. */
function rootByLevels(leaves: readonly Uint8Array[]): Uint8Array {
  let level = [...leaves];
  while (level.length > 1) {
    // Pairs are joined from the left; a last one without a partner rises as it is.
    level = Array.from({ length: Math.ceil(level.length / 2) }, (_, index) => {
      const [left, right] = [level[2 * index] as Uint8Array, level[2 * index + 1]];
      return right === undefined ? left : sha256("01", left, right);
    });
  }
  return level[0] as Uint8Array;
}

describe("the root", () => {
  it.each(RFC_6962_ROOTS.map((root, index) => [index + 1, root] as const))(
    "of %i leaves is the one of the test vectors of RFC 6962",
    (count, root) => {
      const leaves = RFC_6962_INPUTS.slice(0, count).map((input) => sha256("00", input));
      expect(hexOf(merkleRoot(newHash, leaves))).toBe(root);
    },
  );

  it("of one leaf is the leaf; of none there is no root", () => {
    const leaf = sha256("00");
    expect(merkleRoot(newHash, [leaf])).toEqual(leaf);
    expect(() => merkleRoot(newHash, [])).toThrow(/^E_INTERNAL digest: /);
  });

  it("is the same when the tree is built level by level", () => {
    const leaves = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 70 });
    fc.assert(
      fc.property(leaves, (some) => {
        expect(hexOf(merkleRoot(newHash, some))).toBe(hexOf(rootByLevels(some)));
      }),
    );
  });
});
