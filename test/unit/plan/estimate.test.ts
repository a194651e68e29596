/** What an estimate must get right whatever the plan is; how it reads is in the goldens. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { storageCost } from "../../../src/plan/cost.ts";
import type { Estimate } from "../../../src/plan/estimate.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { PlanInput } from "../../../src/plan/step.ts";
import { type StateTotals, TIER_OF_STATE } from "../../../src/plan/stored.ts";
import {
  estimated,
  OBJECT_ROW_BYTES,
  pastRun,
  PRICES,
  ROW_BYTES,
  S3_BYTES_MIN,
  s3Policy,
  totals,
  type World,
} from "./estimates.ts";
import { day, hotDays, scene, segment } from "./scenes.ts";
import { inputs } from "./worlds.ts";

const MILLION = 1_000_000n;
const lastDue = day("2026-01-03");

function s3Night(changes: Parameters<typeof scene>[0] = {}): PlanInput {
  return scene({
    policy: s3Policy(),
    coldBytesMin: S3_BYTES_MIN,
    hot: hotDays(lastDue, 31, MILLION),
    ...changes,
  });
}

const world = (input: PlanInput, changes: World["changes"] = {}): World => ({
  input,
  tableRows: 31n * MILLION,
  changes,
});

/** Totals as the catalog would add up the segments of the plan's input. */
function totalsOf(input: PlanInput): StateTotals[] {
  const { unfinished, dueForRewrite, dueForCold } = input.catalog;
  return [...unfinished, ...dueForRewrite, ...dueForCold].map(({ state, rows, object }) => ({
    state,
    storageClass: "STANDARD",
    isSmall: true,
    segments: 1,
    rows,
    bytes: object?.bytes ?? 0n,
  }));
}

const sumOf = (found: Estimate, when: "before" | "after", of: "rows" | "objects" | "bytes"): bigint =>
  found.tiers.filter(({ tier }) => tier !== "hot").reduce((sum, tier) => sum + (tier[when][of] ?? 0n), 0n);

describe("for any policy, table and catalog", () => {
  it("no row and no object is lost or made up between before and after", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const tableRows = input.inventory.partitions.reduce((sum, { rows }) => sum + rows, 1_000n);
        const { plan, found } = estimated({ input, tableRows, changes: { totals: totalsOf(input) } });
        const [hot] = found.tiers;
        const sum = (stages: readonly string[]): bigint =>
          plan.steps
            .filter((step) => step.stages.some((stage) => stages.includes(stage)))
            .reduce((total, { rows }) => total + rows, 0n);
        expect((hot?.before.rows ?? 0n) - (hot?.after.rows ?? 0n)).toBe(sum(["prune", "delete"]));
        expect(sumOf(found, "after", "rows") - sumOf(found, "before", "rows")).toBe(sum(["export"]));
        const known = totalsOf(input).filter(({ state }) => TIER_OF_STATE[state] !== undefined);
        expect(sumOf(found, "before", "objects")).toBe(BigInt(known.length));
        const made = plan.steps.filter(({ stages, rows }) => stages.includes("export") && rows > 0n).length;
        const packs = plan.steps.flatMap(({ packs: one }) => (one === undefined ? [] : [one.length]));
        const fewer = packs.reduce((total, count) => total + count - 1, 0);
        expect(sumOf(found, "after", "objects")).toBe(BigInt(known.length + made - fewer));
      }),
      { numRuns: 300 },
    );
  });

  it("the sums are those of the tiers, and nothing costs anything without prices", () => {
    fc.assert(
      fc.property(inputs, fc.boolean(), (input, isBilled) => {
        const changes = { totals: totalsOf(input), prices: isBilled ? PRICES : null };
        const { found } = estimated({ input, tableRows: 1_000n, changes });
        for (const when of ["before", "after"] as const) {
          const costs = found.tiers.map((tier) => tier[when].perMonth);
          expect(costs.every((cost) => (cost === null) === !isBilled)).toBe(true);
          expect(found[when]).toBe(
            isBilled ? costs.reduce<bigint>((sum, cost) => sum + (cost ?? 0n), 0n) : null,
          );
        }
        expect(found.move.cost === null).toBe(!isBilled);
        if (!isBilled) expect(found.warnings).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it("the plan is the same with and without an estimate", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { plan } = estimated({ input, tableRows: 1_000n });
        expect(plan).toEqual(makePlan(input));
      }),
    );
  });
});

describe("sizes in the archive", () => {
  const newBytes = (changes: World["changes"]): bigint => {
    const { found } = estimated(world(s3Night(), changes));
    return sumOf(found, "after", "bytes") - sumOf(found, "before", "bytes");
  };

  it("are those of a row of earlier segments, of whatever tier, and of no segment that was given up", () => {
    const archive = [totals("warm", 10), totals("cold", 30), totals("abandoned", 5, { bytes: 7n })];
    expect(newBytes({ totals: archive })).toBe(OBJECT_ROW_BYTES * MILLION);
    const smaller = [totals("warm", 10), totals("cold", 10, { bytes: 0n })];
    expect(newBytes({ totals: smaller })).toBe((OBJECT_ROW_BYTES * MILLION) / 2n);
  });

  it("are a sixth of the table's where nothing is archived yet", () => {
    expect(newBytes({})).toBe((ROW_BYTES * MILLION) / 6n);
    expect(newBytes({ totals: [totals("exporting", 3, { rows: 0n, bytes: 0n })] })).toBe(
      (ROW_BYTES * MILLION) / 6n,
    );
    expect(newBytes({ table: { rows: 0n, bytes: 0n, isCounted: true } })).toBe(0n);
  });

  it("are cut into as many objects as the size of a segment asks for", () => {
    const objects = (segmentBytesMax: bigint): bigint => {
      const { found } = estimated(world(s3Night(), { segmentBytesMax }));
      expect(found.move.newObjects).toBe(sumOf(found, "after", "objects"));
      return sumOf(found, "after", "objects");
    };
    expect(objects(100n * MILLION)).toBe(1n);
    expect(objects(100n * MILLION - 1n)).toBe(2n);
    expect(objects(30n * MILLION)).toBe(4n);
    // A row group is not cut.
    expect(objects(1n)).toBe(50n);
  });
});

describe("what goes cold", () => {
  const old = hotDays(day("2024-01-01"), 1, MILLION);
  const coldOf = (found: Estimate): bigint =>
    found.tiers.find(({ tier }) => tier === "cold")?.after.objects ?? 0n;

  it("is what is old enough and large enough, as the run will see it", () => {
    expect(coldOf(estimated(world(s3Night({ hot: old }))).found)).toBe(1n);
    const small = [{ ...old[0], rows: 100n }] as typeof old;
    const { plan, found } = estimated(world(s3Night({ hot: small })));
    expect(plan.steps[0]?.stages).toContain("transition");
    expect(coldOf(found)).toBe(0n);
    expect(found.move.transitions).toBe(0n);
    expect(found.packing).toMatchObject([{ month: "2024-01", objects: 1n, verdict: "too-small" }]);
  });

  it("is what an earlier run began to move, however small", () => {
    const cooling = segment(9, "cooling", { dayFrom: day("2025-01-02"), object: { bytes: 100n } });
    const input = s3Night({ hot: [], catalog: { unfinished: [cooling] } });
    const small = totals("cooling", 1, { isSmall: true, rows: 1_000n, bytes: 100n });
    const { found } = estimated(world(input, { totals: [small] }));
    expect(coldOf(found)).toBe(1n);
    expect(found.packing).toEqual([]);
  });

  it("keeps its class in the price list, whatever the policy says today", () => {
    const warm = { ...segment(9, "warm", { dayFrom: day("2025-01-02") }), storageClass: "GLACIER_IR" };
    const { found } = estimated(
      world(s3Night({ hot: [], catalog: { dueForCold: [warm] } }), {
        totals: [totals("warm", 1, { storageClass: "GLACIER_IR", rows: 1_000n, bytes: 1_048_576n })],
      }),
    );
    expect(
      found.tiers.map(({ storageClass, before, after }) => [storageClass, before.objects, after.objects]),
    ).toEqual([
      [null, null, null],
      ["GLACIER_IR", 1n, 0n],
      ["DEEP_ARCHIVE", 0n, 1n],
    ]);
  });

  it("costs what its requests cost, at the prices of its class", () => {
    const { found } = estimated(world(s3Night({ hot: old })));
    // object, manifest, sealed, prune-started, pruned, the tag, tagged, transitioned, run-started
    expect(found.move).toMatchObject({ writes: 9n, transitions: 1n, newObjects: 1n });
    // 9 writes at $5 a million, 8 reads at $0.40 a million, 1 transition at $50 a million
    expect(found.move.cost).toBe(45_000n + 3_200n + 50_000n);
  });

  it("costs an object, its proof and its move where a segment is rewritten first", () => {
    const dueForRewrite = [segment(9, "warm", { dayFrom: day("2024-01-01") })];
    const { plan, found } = estimated(world(s3Night({ hot: [], catalog: { dueForRewrite } })));
    expect(plan.steps[0]?.stages).toEqual(["rewrite", "transition"]);
    // object, manifest, packed, the tag, tagged, transitioned, run-started
    expect(found.move).toMatchObject({ writes: 7n, transitions: 1n, newObjects: 1n });
  });

  it("is left out of the sums, and named, in a class that the list does not have", () => {
    const { found } = estimated(
      world(s3Night({ hot: [] }), { totals: [totals("cold", 3, { storageClass: "VAULT" })] }),
    );
    expect(found.unpriced).toEqual(["VAULT"]);
    expect(found.before).toBe(found.tiers[0]?.before.perMonth);
    expect(storageCost(PRICES, { storageClass: "VAULT", isSmall: false, objects: 1n, bytes: 1n })).toBeNull();
  });
});

describe("how long it takes", () => {
  const durationOf = (runs: readonly ReturnType<typeof pastRun>[], input = s3Night()): Estimate["duration"] =>
    estimated(world(input, { runs })).found.duration;
  const moved = (rows: string): Record<string, string> => ({ exported: rows, pruned: rows, deleted: "0" });

  it("is told by the pace of earlier runs, of which a large one weighs more", () => {
    expect(durationOf([pastRun(10, moved("1000000"))])).toEqual({
      seconds: 10,
      rowsPerSecond: 100_000,
      runs: 1,
    });
    const runs = [pastRun(10, moved("1000000")), pastRun(10, moved("10"))];
    expect(durationOf(runs)).toMatchObject({ rowsPerSecond: 50_000.5, runs: 2 });
  });

  it("counts rows that were only pruned or only deleted", () => {
    const runs = [pastRun(2, { exported: "0", pruned: "150", deleted: "50" }, "partly")];
    expect(durationOf(runs)?.rowsPerSecond).toBe(100);
  });

  it("is not told without a run that ended and moved rows", () => {
    const running = { ...pastRun(10, moved("5")), finishedAt: null };
    const cooled = pastRun(10, { exported: "0", pruned: "0", deleted: "0", cooled: "5" });
    for (const state of ["failed", "interrupted"]) {
      expect(durationOf([pastRun(10, moved("5"), state)])).toBeNull();
    }
    expect(durationOf([running, cooled, { ...cooled, summary: null }])).toBeNull();
    expect(durationOf([])).toBeNull();
  });

  it("is not told of a plan that moves no rows", () => {
    const warm = segment(9, "warm", { dayFrom: day("2025-01-02") });
    const input = s3Night({ hot: [], catalog: { dueForCold: [warm] } });
    expect(durationOf([pastRun(10, moved("5"))], input)).toBeNull();
  });
});

describe("the table's rows", () => {
  it("are at least those that the plan counted, whatever Postgres believes", () => {
    const table = { rows: 5n, bytes: 600n * MILLION, isCounted: false };
    const { found } = estimated(world(s3Night(), { table }));
    expect(found.tiers[0]).toMatchObject({
      before: { rows: MILLION, bytes: 600n * MILLION },
      after: { rows: 0n, bytes: 0n },
    });
    expect(found.isCounted).toBe(false);
  });
});

describe("rows that are deleted one by one", () => {
  const of = (prune: string, changes: World["changes"], leaves?: PlanInput["leaves"]): bigint => {
    const input = s3Night({
      policy: s3Policy(`prune: ${prune}\n`),
      ...(leaves === undefined ? {} : { leaves }),
    });
    return estimated(world(input, changes)).found.rowsDeleted;
  };

  it("are all that leave a plain table", () => {
    expect(["auto", "rows"].map((prune) => of(prune, {}))).toEqual([MILLION, MILLION]);
    expect(of("off", {})).toBe(0n);
  });

  it("are those of a partitioned one whose leaves are not dropped", () => {
    const unknown = ["auto", "partitions", "rows"].map((prune) => of(prune, { isPartitioned: true }));
    expect(unknown).toEqual([0n, 0n, MILLION]);
    expect(of("auto", { isPartitioned: true }, [])).toBe(MILLION);
  });
});
