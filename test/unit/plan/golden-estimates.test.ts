/**
 * Plans that persuade: what a person reads before he lets a run go, on the nights that matter. The exact text is in
 * `test/golden/plan-*.txt` (`vitest run -u` writes it anew; read the difference).
 */
import { describe, expect, it } from "vitest";

import type { PlanInput, PlannedLeaf, PlannedSegment } from "../../../src/plan/step.ts";
import { addDays, dayEnd, dayStart, type DayUtc, formatDay } from "../../../src/rows/day.ts";
import type { LeafName } from "../../../src/segment/partition-key.ts";
import {
  hotKeeps,
  inS3,
  NIGHTS,
  PRICES,
  ROW_BYTES,
  S3_BYTES_MIN,
  s3Policy,
  told,
  toldToMachines,
  totals,
  type World,
} from "./estimates.ts";
import { expectGolden } from "./golden.ts";
import { at, day, hotDays, policy, policyText, scene, segment } from "./scenes.ts";

const LINES_MAX = 60;
const MILLION = 1_000_000n;
const lastDue = day("2026-01-03");

/** A table that has run for years: a million rows a day, 30 days hot, a year warm, two years cold. */
const archive = [totals("warm", 335), totals("cold", 730)];

type SceneChanges = NonNullable<Parameters<typeof scene>[0]>;

/** An S3 world of rows of 600 bytes. */
function s3Scene(changes: SceneChanges): PlanInput {
  const input = scene({ policy: s3Policy(), coldBytesMin: S3_BYTES_MIN, ...changes });
  return { ...input, inventory: { ...input.inventory, rowBytes: Number(ROW_BYTES) } };
}

/** The table has a day that is due and 30 that are not, and one segment is a year old. */
function night(changes: SceneChanges = {}): World {
  const dayFrom = day("2025-02-02");
  const warm = {
    ...segment(9, "warm", { dayFrom, rows: MILLION, object: { bytes: 109n * MILLION } }),
    storageClass: "STANDARD",
  };
  const input = s3Scene({
    hot: hotDays(lastDue, 31, MILLION),
    ...changes,
    catalog: { dueForCold: [warm], ...changes.catalog },
  });
  return { input, tableRows: 31n * MILLION, changes: { totals: archive, runs: NIGHTS } };
}

describe("the plan of", () => {
  it("a first backfill of three years", async () => {
    const first = (backfill: boolean): World => ({
      input: s3Scene({
        backfill,
        hot: hotDays(addDays(lastDue, -1_094), 1_125, MILLION),
        catalog: { everMoved: false },
      }),
      tableRows: 1_125n * MILLION,
      changes: { table: { rows: 1_125n * MILLION, bytes: 675_000n * MILLION, isCounted: false } },
    });
    await expectGolden("backfill", {
      "not asked for": told(first(false)),
      "with --backfill": told(first(true)),
    });
  });

  it("a normal night", async () => {
    const folder: World = {
      ...night({ policy: policy(), coldBytesMin: 0n }),
      changes: { totals: archive, runs: NIGHTS, prices: null },
    };
    const nothing = { hot: hotDays(addDays(lastDue, 1), 30, MILLION), catalog: { dueForCold: [] } };
    await expectGolden("night", {
      "in S3": told(night()),
      "in a folder, which nobody is billed for": told(folder),
      "in a folder, with prices of its owner's": told({
        ...folder,
        changes: { ...folder.changes, prices: { ...PRICES, currency: "EUR", origin: "nas.json" } },
      }),
      "nothing is due": told(night(nothing)),
      "looking ahead with --as-of": told({
        ...night({ asOf: at("2026-02-10T02:00:00Z"), catalog: { dueForCold: [] } }),
        changes: { totals: archive, runs: NIGHTS, now: at("2026-02-03T02:00:00Z") },
      }),
      "as JSON": toldToMachines(night()),
    });
  });

  it("a night of late rows", async () => {
    const late = { leaf: null, rule: "default", day: day("2025-12-24"), rows: 1_203n };
    const old = { leaf: null, rule: "default", day: day("2024-12-24"), rows: 7n };
    await expectGolden("night-late-rows", {
      "beside the day that is due, some of them of a day that is cold": told(
        night({
          hot: [old, late, ...hotDays(lastDue, 31, MILLION)],
          catalog: { archived: [late, old], dueForCold: [] },
        }),
      ),
    });
  });

  it("rows that are held back", async () => {
    const sealed = segment(7, "sealed", {
      dayFrom: lastDue,
      rows: MILLION,
      rowsUnpruned: MILLION,
      object: { bytes: 109n * MILLION },
    });
    const hot = hotDays(lastDue, 31, MILLION);
    const world = (changes: SceneChanges): string => told(night({ hot, ...changes }));
    const many = Array.from({ length: 400 }, (_, index) =>
      segment(100 + index, "warm", {
        dayFrom: addDays(day("2023-06-01"), index),
        object: { bytes: 90_000n },
      }),
    );
    await expectGolden("night-held", {
      "the policy keeps rows hot for longer than when they were archived": world({
        policy: hotKeeps("90d"),
        catalog: { dueForCold: [], unfinished: [sealed] },
      }),
      "a rule is gone from the policy": world({
        catalog: { dueForCold: [segment(9, "warm", { dayFrom: day("2025-01-02"), rule: "gone" })] },
      }),
      "rows came in while their day is being moved": world({
        catalog: {
          dueForCold: [],
          unfinished: [segment(7, "pruning", { dayFrom: lastDue, rows: MILLION, rowsUnpruned: 400_000n })],
        },
      }),
      "400 segments are too small for the cold class": world({ catalog: { dueForCold: many } }),
      "nothing is deleted at all, not even by a delete-only rule": world({
        policy: s3Policy("rules: [{ name: denied, when: a, archive: false }]\nprune: off\n"),
        hot: [...hot, ...hotDays(lastDue, 1, 5_000n, "denied")],
        catalog: { dueForCold: [], unfinished: [sealed] },
      }),
    });
  });

  it("a partitioned table, whose leaves go as a whole", async () => {
    const leafOf = (dayFrom: DayUtc): LeafName => {
      const name = `audit_logs_p${formatDay(dayFrom).replaceAll("-", "")}`;
      return { oid: String(16_384 + dayFrom), schema: "public", name };
    };
    const leaves = (first: DayUtc, days: number, canDrop = true): PlannedLeaf[] =>
      Array.from({ length: days }, (_, index) => {
        const from = addDays(first, index);
        const range = { from: dayStart(from), to: dayEnd(from) };
        return { leaf: leafOf(from), range, canDrop, isDetaching: false };
      });
    const world = (days: number, canDrop = true): World => {
      const first = addDays(lastDue, 1 - days);
      const input = s3Scene({
        leaves: leaves(first, days + 30, canDrop),
        hot: hotDays(first, days + 30, MILLION).map((one) => ({ ...one, leaf: leafOf(one.day) })),
      });
      const changes = { totals: archive, runs: NIGHTS, isPartitioned: true };
      return { input, tableRows: BigInt(days + 30) * MILLION, changes };
    };
    const [leaf] = leaves(lastDue, 1) as [PlannedLeaf];
    const twice = { ...leaf.leaf, oid: "7", name: "audit_logs_default" };
    const two = s3Scene({
      hot: [leaf.leaf, twice].map((one) => ({ leaf: one, rule: "default", day: lastDue, rows: 7n })),
      leaves: [leaf, { ...leaf, leaf: twice, range: null }],
    });
    await expectGolden("night-partitions", {
      "a normal night": told(world(1)),
      "a year of them": told(world(365)),
      "leaves that this role may not drop": told(world(1, false)),
      "a day that stands in two leaves": told({ input: two, tableRows: 14n }),
    });
  });

  it("quarantined rows", async () => {
    const unfinished = [
      segment(7, "pruning", { dayFrom: day("2026-01-01"), rowsUnpruned: 5_000n, rowsQuarantined: 5_000n }),
    ];
    const hot = [...hotDays(day("2026-01-01"), 1, 5_000n), ...hotDays(lastDue, 31, MILLION)];
    const world = (retryQuarantined: boolean): string =>
      told(night({ hot, retryQuarantined, catalog: { dueForCold: [], unfinished } }));
    const small = Array.from({ length: 20 }, (_, index) =>
      segment(100 + index, "warm", { dayFrom: addDays(day("2024-06-01"), index), object: { bytes: 9n } }),
    );
    await expectGolden("quarantine", {
      "wait for a person": world(false),
      "stand before what needs nobody": told(night({ hot, catalog: { dueForCold: small, unfinished } })),
      "are tried once more with --retry-quarantined": world(true),
    });
  });

  it("a policy made shorter", async () => {
    const changes = { policy: hotKeeps("14d"), previous: s3Policy(), catalog: { dueForCold: [] } };
    await expectGolden("policy-shorter", {
      "is refused": told(night(changes)),
      "goes with --confirm-sooner": told(night({ ...changes, confirmSooner: true })),
    });
  });

  it("ten years of twenty rules", async () => {
    const names = Array.from({ length: 19 }, (_, index) => `rule_${String(index + 1).padStart(2, "0")}`);
    const rules = names.map((name, index) => {
      const own = index === 18 ? "archive: false" : `hot: ${30 + (index % 3) * 30}d`;
      return `  - { name: ${name}, when: "action = '${name}'", ${own} }\n`;
    });
    const years = policyText(`rules:\n${rules.join("")}`);
    const input = s3Scene({
      policy: inS3(years),
      backfill: true,
      hot: [...names, "default"].flatMap((name) => hotDays(addDays(lastDue, -3_619), 3_650, 20_000n, name)),
      catalog: { everMoved: false },
    });
    const world: World = { input, tableRows: 20n * 3_650n * 20_000n };
    expect(input.inventory.partitions).toHaveLength(73_000);
    await expectGolden("ten-years", { "moved at once": told(world) });
    expect(told(world).split("\n").length).toBeLessThanOrEqual(LINES_MAX);
    // The same years as small segments: packing is told by verdict, not by month.
    const small = input.inventory.partitions.map(({ rule, day: dayFrom }, index) =>
      segment(index, "warm", { rule, dayFrom, rows: 200n, object: { bytes: 21_800n } }),
    );
    const later = s3Scene({ policy: inS3(years), catalog: { dueForCold: small } });
    const packed: World = { input: later, tableRows: 600_000n, changes: { totals: archive, runs: NIGHTS } };
    await expectGolden("ten-years-small", { "archived, and too small to go cold": told(packed) });
    expect(told(packed).split("\n").length).toBeLessThanOrEqual(LINES_MAX);
  });

  it("objects that are charged longer than they are kept", async () => {
    const tiers = (cold: string, warm = "STANDARD"): string =>
      policyText("", cold).replace("warm: { keep: 365d }", `warm: { keep: 365d, storageClass: ${warm} }`);
    const old = { ...hotDays(day("2024-12-20"), 1, MILLION)[0], rows: MILLION } as never;
    const world = (text: string): string =>
      told(night({ policy: inS3(text), hot: [old, ...hotDays(lastDue, 31, MILLION)] }));
    await expectGolden("minimum-durations", {
      "the policy keeps cold objects for a shorter time than the class charges": world(
        tiers("cold: { storageClass: DEEP_ARCHIVE, keep: 400d }"),
      ),
      "only what is old already goes too soon": world(
        tiers("cold: { storageClass: DEEP_ARCHIVE, keep: 545d }"),
      ),
      "the warm class charges for longer than the policy keeps objects in it": told(
        night({
          policy: inS3(
            tiers("cold: { storageClass: DEEP_ARCHIVE, keep: forever }", "GLACIER_IR").replace("365d", "60d"),
          ),
        }),
      ),
      "the warm class has a minimum, too": world(
        tiers("cold: { storageClass: DEEP_ARCHIVE, keep: forever }", "GLACIER_IR"),
      ),
    });
  });

  it("small days", async () => {
    const month = (first: string, count: number, bytes: bigint, rule = "default"): PlannedSegment[] =>
      Array.from({ length: count }, (_, index) =>
        segment(Number(day(first)) + index, "warm", {
          rule,
          dayFrom: addDays(day(first), index),
          object: { bytes },
        }),
      );
    const few = policyText("rules: [{ name: few, when: \"action = 'x'\" }]\n");
    const world = night({
      policy: inS3(few),
      catalog: {
        dueForCold: [
          ...month("2024-12-01", 31, 90_000n),
          ...month("2025-01-01", 31, 90_000n),
          ...month("2025-02-01", 2, 90_000n),
          ...month("2024-12-01", 31, 3_000n, "few"),
        ],
      },
    });
    await expectGolden("packing", {
      "what would be packed by month, and whether it pays": told(world),
      "as JSON": toldToMachines(world)
        .split("\n")
        .filter((line) => line.includes('"packing"'))
        .join("\n"),
    });
  });
});
