/** What restores cost, by the built-in prices: figures of the S3 price list, worked out by hand. */
import { describe, expect, it } from "vitest";
import { decimalOf } from "../../../src/cli/format.ts";
import { type RestoreAsked, restoreEstimate } from "../../../src/plan/restore-cost.ts";
import { builtInPrices } from "../../../src/price-file.ts";

const GIB = 1n << 30n;
const prices = builtInPrices();

function estimate(asked: Partial<RestoreAsked>): [string | null, number | null] {
  const { cost, minutesMax } = restoreEstimate(prices, {
    tier: "standard",
    days: 3,
    fresh: [],
    longer: [],
    ...asked,
  });
  return [cost === null ? null : decimalOf(cost), minutesMax];
}

describe("a restore", () => {
  it("costs bytes, requests, and its copies in STANDARD until the midnight after their last day", () => {
    const fresh = [{ storageClass: "DEEP_ARCHIVE", objects: 1_000n, bytes: 100n * GIB }];
    // 100 GB at 0.02, 1,000 requests at 0.10 a thousand, 100 GB at 0.023 for 4 of 30 days.
    expect(estimate({ fresh })).toEqual(["2.406666666", 720]);
    expect(estimate({ fresh, days: 29 })).toEqual(["4.4", 720]);
  });

  it.each([
    ["expedited", "GLACIER", "13.306666666", 5],
    ["standard", "GLACIER", "1.356666666", 300],
    ["bulk", "GLACIER", "0.306666666", 720],
    ["standard", "DEEP_ARCHIVE", "2.406666666", 720],
    ["bulk", "DEEP_ARCHIVE", "0.581666666", 2_880],
    // No copy beside the archive: the output of a job.
    ["expedited", "GLACIER_VAULT", "13", 5],
    ["standard", "GLACIER_VAULT", "1.05", 300],
    ["bulk", "GLACIER_VAULT", "0", 720],
  ] as const)(
    "by %s of 100 GB and 1,000 objects in %s costs %s and takes %d minutes",
    (tier, storageClass, cost, minutes) => {
      expect(estimate({ tier, fresh: [{ storageClass, objects: 1_000n, bytes: 100n * GIB }] })).toEqual([
        cost,
        minutes,
      ]);
    },
  );

  it("has no price where the list has none: another class, another tier, no list", () => {
    expect(estimate({ fresh: [{ storageClass: "FROZEN", objects: 1n, bytes: GIB }] })).toEqual([null, null]);
    const fresh = [{ storageClass: "DEEP_ARCHIVE", objects: 1n, bytes: GIB }];
    expect(estimate({ tier: "expedited", fresh })).toEqual([null, null]);
    expect(restoreEstimate(null, { tier: "bulk", days: 1, fresh, longer: [] })).toEqual({
      cost: null,
      minutesMax: null,
    });
    // One that is not known makes the sum unknown, and what is known of the time is not the last one's.
    const both = [...fresh, { storageClass: "FROZEN", objects: 1n, bytes: GIB }];
    expect(estimate({ fresh: both })).toEqual([null, null]);
  });

  it("takes as long as its slowest class", () => {
    const fresh = ["GLACIER", "DEEP_ARCHIVE"].map((storageClass) => ({
      storageClass,
      objects: 1n,
      bytes: GIB,
    }));
    expect(estimate({ fresh })[1]).toBe(720);
  });

  it("of nothing costs nothing, and promises nothing", () => {
    expect(estimate({})).toEqual(["0", null]);
  });
});

describe("a longer stay of a copy", () => {
  it("costs its request and its days, and no bytes again", () => {
    const longer = [{ storageClass: "DEEP_ARCHIVE", objects: 1_000n, bytes: 100n * GIB }];
    expect(estimate({ longer })).toEqual(["0.406666666", null]);
  });
});
