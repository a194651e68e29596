/** Which keys are legal, and the encoding of identifiers into them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  assertKeyPrefix,
  assertObjectKey,
  ENCODED_IDENTIFIER_BYTES_MAX,
  encodeIdentifier,
  isKeySegment,
  isObjectKey,
} from "../../src/archive/object-key.ts";
import { isFirnlineError } from "../../src/errors.ts";
import { journalKey, manifestKey, segmentKey } from "../../src/segment/archive-keys.ts";
import type { DayUtc } from "../../src/rows/day.ts";

describe("object keys", () => {
  test.each([
    journalKey("audit_logs", 42n),
    manifestKey("audit_logs", "000000000001-00ff00ff00ff00ff"),
    segmentKey("audit_logs", "default", 20_456 as DayUtc, "000000000001-00ff00ff00ff00ff"),
    "a",
    "A-Z",
    "=",
    "-",
    "0",
    "a.b..c",
    "a/b.",
    "x".repeat(240),
    `${"x/".repeat(511)}xx`,
  ])("%s is legal", (key) => {
    expect(() => assertObjectKey(key)).not.toThrow();
    expect(() => assertKeyPrefix(key)).not.toThrow();
  });

  test.each([
    ["", "must not be empty"],
    ["/a", "neither begins nor ends"],
    ["a/", "neither begins nor ends"],
    ["a//b", "no empty segment"],
    [".", "begin with a dot"],
    ["a/../b", "begin with a dot"],
    [".tmp/a", "begin with a dot"],
    ["a/.b.firnline.json", "begin with a dot"],
    ["a b", "is made of"],
    ["a\0", "is made of"],
    ["a\n", "is made of"],
    ["ｆｕｌｌ", "is made of"],
    ["x".repeat(241), "at most 240 bytes"],
    [`${"x/".repeat(512)}x`, "at most 1024 bytes"],
  ])("%j is refused: %s", (key, problem) => {
    expect(() => assertObjectKey(key)).toThrow(problem);
    expect(isObjectKey(key)).toBe(false);
  });

  test("the refusal is E_INTERNAL, names the key, escaped and cut", () => {
    const key = `\u001b[31m${"x".repeat(5000)}`;
    try {
      assertObjectKey(key);
      expect.unreachable();
    } catch (error) {
      expect(isFirnlineError(error, "E_INTERNAL")).toBe(true);
      expect((error as Error).message).not.toContain("\u001b");
      expect((error as Error).message.length).toBeLessThan(500);
    }
  });

  test.each(["", "a", "a/", "a/b", "a/b.", "x".repeat(240)])("%j is a prefix of some key", (prefix) => {
    expect(() => assertKeyPrefix(prefix)).not.toThrow();
  });

  test.each(["/", "a//", ".", "a/.", "../", "a/../", "a b", "x".repeat(241)])(
    "%j is a prefix of none",
    (prefix) => {
      expect(() => assertKeyPrefix(prefix)).toThrow(/^E_INTERNAL object key/);
    },
  );

  test("no legal key resolves to a place outside of the root", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", ".", "/", "\\", "\0", "..", "~", "="), maxLength: 12 }),
        (key) => {
          fc.pre(isObjectKey(key));
          expect(new URL(key, "file:///root/").pathname).toBe(`/root/${key}`);
        },
      ),
    );
  });
});

describe("encodeIdentifier", () => {
  test.each([
    ["audit_logs", "audit_logs"],
    ["2026", "2026"],
    ["", "-"],
    ["-", "-2d"],
    ["AuditLogs", "-41udit-4cogs"],
    ["_private", "-5fprivate"],
    ["a.b", "a-2eb"],
    ["..", "-2e-2e"],
    ["../a", "-2e-2e-2fa"],
    ['a"; drop table x; --', "a-22-3b-20drop-20table-20x-3b-20-2d-2d"],
    ["ä", "-c3-a4"],
    ["a\0", "a-00"],
  ])("%j -> %s", (text, encoded) => {
    expect(encodeIdentifier(text)).toBe(encoded);
  });

  const anything = fc.oneof(
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.string({ unit: fc.constantFrom("-", "2", "d", "A", "a", "_", "."), maxLength: 8 }),
    fc.string({ unit: fc.constantFrom("a", "A", "-"), minLength: 60, maxLength: 260 }),
  );

  test("is one legal segment, bounded, without capitals, and hidden from nobody", () => {
    fc.assert(
      fc.property(anything, (text) => {
        const encoded = encodeIdentifier(text);
        expect(isKeySegment(encoded)).toBe(true);
        expect(encoded.length).toBeLessThanOrEqual(ENCODED_IDENTIFIER_BYTES_MAX);
        expect(encoded).toMatch(/^[a-z0-9-][a-z0-9_-]*$/);
      }),
    );
  });

  test("is injective: short ones can be decoded, long ones carry their hash", () => {
    fc.assert(
      fc.property(anything, (text) => {
        const encoded = encodeIdentifier(text);
        if (encoded.includes("--")) expect(encoded).toMatch(/--[0-9a-f]{64}$/);
        else expect(decoded(encoded)).toBe(text);
      }),
      { numRuns: 500 },
    );
    const long = "x".repeat(300);
    const encodings = [long, `${long}y`, long.toUpperCase(), `${long.slice(0, -1)}y`].map(encodeIdentifier);
    expect(new Set(encodings).size).toBe(4);
  });

  test("a Postgres identifier of 63 bytes is encoded in full, whatever it is made of", () => {
    for (const text of ["Ä".repeat(31), "A".repeat(63), "-".repeat(63)]) {
      expect(decoded(encodeIdentifier(text))).toBe(text);
    }
  });

  test("a lone surrogate has no bytes and is refused", () => {
    expect(() => encodeIdentifier("a\ud800")).toThrow(/^E_INTERNAL/);
  });
});

function decoded(encoded: string): string {
  if (encoded === "-") return "";
  const bytes = encoded.replace(/-([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, "latin1"));
}
