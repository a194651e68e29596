/** The tree hash of S3 Glacier against its definition, and against the figures of the developer guide. */
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { LEAF_BYTES, TreeHash, treeHashOf } from "../../../src/archive/vault/tree-hash.ts";
import { recursiveTreeHash } from "../../support/memory-vault.ts";

describe("the tree hash", () => {
  it("of up to a MiB is its SHA-256", () => {
    for (const length of [0, 1, LEAF_BYTES - 1, LEAF_BYTES]) {
      const bytes = randomBytes(length);
      expect(treeHashOf(bytes)).toBe(createHash("sha256").update(bytes).digest("hex"));
    }
  });

  it("of three MiB of zeros is that of the pairs, with the odd one as it is", () => {
    const leaf = createHash("sha256").update(Buffer.alloc(LEAF_BYTES)).digest();
    const pair = createHash("sha256").update(leaf).update(leaf).digest();
    const root = createHash("sha256").update(pair).update(leaf).digest("hex");
    expect(treeHashOf(Buffer.alloc(3 * LEAF_BYTES))).toBe(root);
  });

  it.each([1.5, 2, 2.000001, 3, 4.25, 5, 6, 7, 7.5, 8, 9])(
    "of %d MiB is its definition's, in pieces of any size",
    (mib) => {
      const bytes = randomBytes(Math.ceil(mib * LEAF_BYTES));
      const expected = recursiveTreeHash(bytes);
      expect(treeHashOf(bytes)).toBe(expected);
      for (const size of [777_777, LEAF_BYTES, LEAF_BYTES + 1]) {
        const hash = new TreeHash();
        for (let at = 0; at < bytes.length; at += size) hash.update(bytes.subarray(at, at + size));
        expect(hash.digest()).toBe(expected);
      }
    },
  );
});
