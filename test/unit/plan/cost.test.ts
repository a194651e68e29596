/** Money, worked out by hand from the prices of the built-in list (US dollars, us-east-1, 2026-07). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  earlyLeavingCost,
  type ObjectGroup,
  perGb,
  perThousand,
  type PriceList,
  storageCost,
} from "../../../src/plan/cost.ts";
import { STORAGE_CLASSES } from "../../../src/policy/schema.ts";
import { PRICES } from "./estimates.ts";

const GIB = 1n << 30n;
const KIB = 1024n;
/** Billionths of a dollar. */
const dollars = (value: number): bigint => BigInt(Math.round(value * 1e9));

const group = (
  storageClass: string,
  objects: bigint,
  bytes: bigint,
  isSmall = bytes / objects < 128n * KIB,
): ObjectGroup => ({ storageClass, objects, bytes, isSmall });

describe("a month of storage", () => {
  it.each([
    ["STANDARD", 0.023],
    ["STANDARD_IA", 0.0125],
    ["GLACIER_IR", 0.004],
  ])("of a hundred GB in %s costs a hundred times its price", (storageClass, price) => {
    expect(storageCost(PRICES, group(storageClass, 1_000n, 100n * GIB))).toBe(dollars(100 * price));
  });

  it("in the Glacier classes has 32 KiB more an object at their price, and 8 KiB at that of STANDARD", () => {
    const objects = 32_768n; // whose overhead is a whole number of GB: 1 GiB at their price, a quarter at STANDARD's
    for (const [storageClass, price] of [
      ["GLACIER", 0.0036],
      ["DEEP_ARCHIVE", 0.00099],
    ] as const) {
      const cost = storageCost(PRICES, group(storageClass, objects, 100n * GIB));
      expect(cost).toBe(dollars(101 * price) + dollars(0.25 * 0.023));
    }
  });

  it.each(["STANDARD_IA", "GLACIER_IR"])(
    "in %s is charged for 128 KiB an object at least",
    (storageClass) => {
      const small = storageCost(PRICES, group(storageClass, 8_192n, 1n));
      expect(small).toBe(storageCost(PRICES, group(storageClass, 8_192n, 1n * GIB)));
      expect(storageCost(PRICES, group("STANDARD", 8_192n, 1n))).toBe(0n);
    },
  );

  it("in INTELLIGENT_TIERING has monitoring for each object, but not for small ones", () => {
    const large = storageCost(PRICES, group("INTELLIGENT_TIERING", 2_000n, 10n * GIB));
    expect(large).toBe(dollars(0.23) + dollars(0.005));
    expect(storageCost(PRICES, group("INTELLIGENT_TIERING", 2_000n, 10n, true))).toBe(0n);
  });

  it("has no price in a class that the list does not have, whatever its name", () => {
    for (const name of ["VAULT", "constructor", "__proto__"]) {
      expect(storageCost(PRICES, group(name, 1n, GIB))).toBeNull();
    }
  });

  it("shows why a small object is not worth a cold class: below about 9 KiB it is dearer than STANDARD", () => {
    const cost = (storageClass: string, bytes: bigint): bigint =>
      storageCost(PRICES, group(storageClass, 1_000_000n, 1_000_000n * bytes)) as bigint;
    expect(cost("DEEP_ARCHIVE", 8n * KIB)).toBeGreaterThan(cost("STANDARD", 8n * KIB));
    expect(cost("DEEP_ARCHIVE", 128n * KIB)).toBeLessThan(cost("STANDARD", 128n * KIB) / 4n);
  });

  it("never falls when there is more to store, and adds up to within a billionth a group", () => {
    const groups = fc.record({
      storageClass: fc.constantFrom(...STORAGE_CLASSES),
      objects: fc.bigInt({ min: 1n, max: 1_000_000n }),
      bytes: fc.bigInt({ min: 0n, max: 1n << 50n }),
      isSmall: fc.boolean(),
    });
    fc.assert(
      fc.property(groups, fc.bigInt({ min: 0n, max: 1n << 40n }), (one, more) => {
        const cost = (value: ObjectGroup): bigint => storageCost(PRICES, value) as bigint;
        expect(cost({ ...one, bytes: one.bytes + more })).toBeGreaterThanOrEqual(cost(one));
        expect(cost({ ...one, objects: one.objects + 1n })).toBeGreaterThanOrEqual(cost(one));
        const twice = cost({ ...one, objects: one.objects * 2n, bytes: one.bytes * 2n });
        const error = twice - 2n * cost(one);
        expect(error >= -4n && error <= 4n).toBe(true);
      }),
    );
  });
});

describe("an object that leaves its class early", () => {
  it("is charged a thirtieth of its month for each day that is left", () => {
    const one = group("DEEP_ARCHIVE", 1n, 1_000n * GIB);
    const month = storageCost(PRICES, one) as bigint;
    expect(earlyLeavingCost(PRICES, one, 30)).toBe(month);
    expect(earlyLeavingCost(PRICES, one, 180)).toBe(6n * month);
    expect(earlyLeavingCost(PRICES, one, 0)).toBe(0n);
    expect(earlyLeavingCost(PRICES, one, -5)).toBe(0n);
  });
});

describe("sums", () => {
  it("are exact to a billionth, where floating point is not", () => {
    expect(perGb(GIB, dollars(0.00099))).toBe(990_000n);
    expect(perThousand(1n, dollars(0.0004))).toBe(400n);
    expect(perThousand(10_000_000n, dollars(10))).toBe(dollars(100_000));
    // 2^53 bytes and one more are told apart.
    expect(perGb(1n << 83n, 1n) - perGb((1n << 83n) - GIB, 1n)).toBe(1n);
  });

  it("of requests are those of the published example: 15 million expedited restores cost $150,000", () => {
    const expedited = PRICES.classes.GLACIER.restores.expedited;
    expect(perThousand(15_000_000n, expedited?.perThousandRequests as bigint)).toBe(dollars(150_000));
  });
});

describe("the built-in list", () => {
  const of = (list: PriceList, name: keyof PriceList["classes"]): [bigint, number] => [
    list.classes[name].perGbMonth,
    list.classes[name].daysMin,
  ];

  it("has the prices and minimum days that S3 publishes", () => {
    expect(of(PRICES, "STANDARD")).toEqual([dollars(0.023), 0]);
    expect(of(PRICES, "STANDARD_IA")).toEqual([dollars(0.0125), 30]);
    expect(of(PRICES, "GLACIER_IR")).toEqual([dollars(0.004), 90]);
    expect(of(PRICES, "GLACIER")).toEqual([dollars(0.0036), 90]);
    expect(of(PRICES, "DEEP_ARCHIVE")).toEqual([dollars(0.00099), 180]);
    expect(Object.keys(PRICES.classes).toSorted()).toEqual(STORAGE_CLASSES.toSorted());
    expect(PRICES).toMatchObject({ currency: "USD", region: "us-east-1", origin: "built in" });
  });

  it("says for exactly the classes that need a restore what one costs", () => {
    const restored = STORAGE_CLASSES.filter((name) => Object.keys(PRICES.classes[name].restores).length > 0);
    expect(restored).toEqual(["GLACIER", "DEEP_ARCHIVE", "GLACIER_VAULT"]);
    expect(PRICES.classes.DEEP_ARCHIVE.restores.expedited).toBeUndefined();
    expect(PRICES.classes.DEEP_ARCHIVE.restores.bulk).toEqual({
      perGb: dollars(0.0025),
      perThousandRequests: dollars(0.025),
      minutesMax: 2_880,
    });
  });
});
