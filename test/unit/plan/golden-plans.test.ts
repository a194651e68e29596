/**
 * What a person reads before anything moves. Each scene is one situation of a night; the exact text is in
 * `test/golden/plan-*.txt` (`vitest run -u` writes it anew; read the difference).
 */
import { describe, expect, it } from "vitest";

import { heldText, planJson } from "../../../src/cli/plan-text.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { Held, PlanInput } from "../../../src/plan/step.ts";
import { parsePolicy } from "../../../src/policy/policy.ts";
import { type SegmentState, SEGMENT_STATES } from "../../../src/segment/state.ts";
import { brief, expectGolden, text } from "./golden.ts";
import { at, day, hotDays, policy, policyText, scene, segment } from "./scenes.ts";

const lateDay = { leaf: null, rule: "default", day: day("2026-01-02") };

describe("the plan of", () => {
  it("a night", async () => {
    await expectGolden("nights", {
      "an empty table": text(scene()),
      "nothing is due yet": text(scene({ hot: hotDays(day("2026-01-04"), 31) })),
      "a normal night: one day is due": text(scene({ hot: hotDays(day("2026-01-03"), 32) })),
      "three nights were missed": text(scene({ hot: hotDays(day("2025-12-31"), 35) })),
      "two sizes of days": text(
        scene({
          hot: [...hotDays(day("2026-01-01"), 1, 1n), ...hotDays(day("2026-01-02"), 1, 12_345_678n)],
        }),
      ),
      "the last day of one month and the first of another": text(
        scene({ asOf: at("2026-03-03T02:00:00Z"), hot: hotDays(day("2026-01-30"), 4) }),
      ),
      "nothing is hot, but the table is not empty": text(scene({ hot: hotDays(day("2026-01-03"), 1, 0n) })),
    });
  });

  it("a first run", async () => {
    const asOf = at("2026-02-03T02:00:00Z");
    const first = (days: number, backfill: boolean): PlanInput =>
      scene({
        asOf,
        backfill,
        hot: hotDays(day("2026-02-02"), 1).concat(hotDays((day("2026-01-04") - days) as never, days)),
        catalog: { everMoved: false },
      });
    await expectGolden("first-runs", {
      "31 days, which is not too many": brief(text(first(31, false))),
      "32 days, which is": brief(text(first(32, false))),
      "32 days with --backfill": brief(text(first(32, true))),
      "400 days": text(first(400, false)),
      "400 days with --backfill": text(first(400, true)),
      "400 days after something was moved before": text({
        ...first(400, false),
        catalog: { ...first(400, false).catalog, everMoved: true },
      }),
      "41 days": text(first(41, true)),
      "41 days with --all": brief(text(first(41, true), true)),
      "31 days of two rules each: days are counted, not partitions": text(
        scene({
          policy: policy("rules: [{ name: denied, when: \"action = 'denied'\" }]\n"),
          hot: [...hotDays(day("2025-12-03"), 31), ...hotDays(day("2025-12-03"), 31, 7n, "denied")],
          catalog: { everMoved: false },
        }),
      ),
    });
  });

  it("late rows", async () => {
    const open = (state: SegmentState, rowsUnpruned: bigint): Partial<PlanInput["catalog"]> => ({
      unfinished: [segment(7, state, { dayFrom: lateDay.day, rowsUnpruned })],
    });
    const hot = [{ ...lateDay, rows: 1_003n }];
    const archiveOnly = policy("prune: off\n");
    await expectGolden("late-rows", {
      "one row of a day that was pruned": text(
        scene({ hot: [{ ...lateDay, rows: 1n }], catalog: { archived: [lateDay] } }),
      ),
      "many rows of a day that was pruned": text(
        scene({ hot: [{ ...lateDay, rows: 2_500n }], catalog: { archived: [lateDay] } }),
      ),
      "late rows beside a normal night": text(
        scene({
          hot: [{ ...lateDay, rows: 3n }, ...hotDays(day("2026-01-03"), 1)],
          catalog: { archived: [lateDay] },
        }),
      ),
      "of a day that is also old enough for the cold class": text(
        scene({
          hot: [{ leaf: null, rule: "default", day: day("2024-06-01"), rows: 3n }],
          catalog: { archived: [{ leaf: null, rule: "default", day: day("2024-06-01") }] },
        }),
      ),
      "while the day's segment is uploaded": text(scene({ hot, catalog: open("uploaded", 1_000n) })),
      "while the day's segment is sealed": text(scene({ hot, catalog: open("sealed", 1_000n) })),
      "while the day's segment is pruned in part": text(scene({ hot, catalog: open("pruning", 400n) })),
      "while two segments of the day are open": text(
        scene({
          hot: [{ ...lateDay, rows: 1_501n }],
          catalog: {
            unfinished: [
              segment(7, "sealed", { dayFrom: lateDay.day }),
              segment(8, "pruning", { dayFrom: lateDay.day, rowsUnpruned: 500n }),
            ],
          },
        }),
      ),
      "fewer rows than the open segment holds: nothing came late": text(
        scene({ hot: [{ ...lateDay, rows: 900n }], catalog: open("sealed", 1_000n) }),
      ),
      "while the day's first segment is cooling down": text(
        scene({
          hot: [{ ...lateDay, rows: 4n }],
          catalog: {
            unfinished: [segment(7, "cooling", { dayFrom: lateDay.day })],
            archived: [lateDay],
          },
        }),
      ),
      "of a day that is archived and not pruned, with prune: off": text(
        scene({ policy: archiveOnly, hot, catalog: open("sealed", 1_000n) }),
      ),
    });
  });

  it("resuming what an earlier run began", async () => {
    const dayFrom = day("2026-01-02");
    const old = day("2024-12-01");
    const hasHot: ReadonlySet<SegmentState> = new Set(["exporting", "uploaded", "sealed", "pruning"]);
    const resumed = (state: SegmentState, from = dayFrom, more: Partial<PlanInput> = {}): PlanInput => ({
      ...scene({
        hot: hasHot.has(state)
          ? [{ leaf: null, rule: "default", day: from, rows: state === "pruning" ? 1n : 1_000n }]
          : [],
        catalog: {
          unfinished: [
            segment(7, state, { dayFrom: from, ...(state === "pruning" ? { rowsUnpruned: 1n } : {}) }),
          ],
        },
      }),
      ...more,
    });
    await expectGolden("resume", {
      ...Object.fromEntries(
        SEGMENT_STATES.map((state) => [`a segment in state ${state}`, text(resumed(state))]),
      ),
      ...Object.fromEntries(
        (["uploaded", "sealed", "pruning"] as const).map((state) => [
          `a segment in state ${state} that is old enough for the cold class`,
          text(resumed(state, old)),
        ]),
      ),
      ...Object.fromEntries(
        (["exporting", "uploaded", "sealed", "pruning", "cooling"] as const).map((state) => [
          `a segment in state ${state}, with prune: off`,
          text(resumed(state, dayFrom, { policy: policy("prune: off\n") })),
        ]),
      ),
      "a segment of a rule that is not in the policy any more": text(
        scene({ catalog: { unfinished: [segment(7, "sealed", { dayFrom: old, rule: "gone" })] } }),
      ),
      "several segments, before what is due today": text(
        scene({
          hot: [...hotDays(day("2026-01-01"), 3)],
          catalog: {
            unfinished: [
              segment(9, "exporting", { dayFrom: day("2026-01-01") }),
              segment(7, "cooling", { dayFrom: day("2024-11-30") }),
              segment(8, "uploaded", { dayFrom: day("2026-01-02") }),
            ],
          },
        }),
      ),
    });
  });

  it("rules with retentions of their own", async () => {
    const rules = `rules:
  - { name: denied, when: "action = 'denied'", hot: 7d, archive: false }
  - { name: billing, when: "action = 'billing'", hot: 60d, warm: 90d }
  - { name: login, when: "action = 'login'", hot: 10d }
`;
    const hot = ["denied", "billing", "login", "default"].flatMap((rule) => [
      ...hotDays(day("2025-12-05"), 1, 100n, rule),
      ...hotDays(day("2026-01-03"), 1, 10n, rule),
      ...hotDays(day("2026-01-23"), 5, 1n, rule),
    ]);
    const cold = [
      segment(1, "warm", { dayFrom: day("2025-11-04") }),
      segment(2, "warm", { dayFrom: day("2025-11-04"), rule: "billing" }),
    ];
    await expectGolden("rules", {
      "each rule lets its days go at its own age": text(scene({ policy: policy(rules), hot })),
      "with prune: off nothing is deleted, not even by a delete-only rule": text(
        scene({ policy: policy(`${rules}prune: off\n`), hot }),
      ),
      "a delete-only rule has no cold tier, another rule goes cold sooner": text(
        scene({ policy: policy(rules), catalog: { dueForCold: cold } }),
      ),
      "rows of a rule that is not in the policy any more are left alone": text(
        scene({ policy: policy(), hot: hotDays(day("2025-12-05"), 1, 5n, "gone") }),
      ),
      "late rows of a delete-only rule": text(
        scene({
          policy: policy(rules),
          hot: hotDays(day("2026-01-02"), 1, 5n, "denied"),
          catalog: { archived: [{ leaf: null, rule: "denied", day: day("2026-01-02") }] },
        }),
      ),
    });
  });

  it("going cold", async () => {
    const warm = [
      segment(1, "warm", { dayFrom: day("2025-02-01"), object: { bytes: 131_071n } }),
      segment(2, "warm", { dayFrom: day("2025-02-01"), object: { bytes: 131_072n } }),
      segment(3, "warm", { dayFrom: day("2025-02-02"), object: { bytes: 50_000_000n }, rows: 400_000n }),
      segment(4, "warm", { dayFrom: day("2025-02-03") }),
      segment(5, "warm", { dayFrom: day("2025-02-01"), rule: "gone" }),
    ];
    const month = Array.from({ length: 45 }, (_, index) =>
      segment(100 + index, "warm", { dayFrom: (day("2024-11-20") + index) as never }),
    );
    const catalog = { dueForCold: warm };
    const small = policy("", "cold: { storageClass: GLACIER, keep: forever, objectBytesMin: 1MiB }");
    await expectGolden("cold", {
      "segments of the right age, too small ones, a removed rule's": text(scene({ catalog })),
      "where the store's cold classes cost more for small objects": text(
        scene({ catalog, coldBytesMin: 131_072n }),
      ),
      "where the policy says another smallest size": text(
        scene({ catalog, coldBytesMin: 131_072n, policy: small }),
      ),
      "without a cold tier": text(scene({ catalog, policy: policy("", "") })),
      "a segment without an object's size": text(
        scene({
          coldBytesMin: 1n,
          catalog: { dueForCold: [segment(1, "warm", { dayFrom: day("2025-02-01"), object: null })] },
        }),
      ),
      "45 segments of three months": text(scene({ catalog: { dueForCold: month } })),
      "45 segments, one of them begun by an earlier run": text(
        scene({
          catalog: {
            dueForCold: month.filter((_, index) => index !== 20),
            unfinished: [{ ...(month[20] as (typeof month)[number]), state: "cooling" }],
          },
        }),
      ),
      "many segments that are held back": text(
        scene({ catalog: { dueForCold: month.slice(0, 12) }, coldBytesMin: 2_000_000n }),
      ),
    });
  });

  it("a policy that changed", async () => {
    const before = policy('rules: [{ name: denied, when: "a", hot: 20d, archive: false }]\n');
    const change = (more: string, from: string, to: string): PlanInput["policy"] =>
      parsePolicy(policyText(more).replace(from, to), "audit-logs.yaml");
    const shorter = change("", "keep: 30d", "keep: 14d");
    const longer = change("", "keep: 30d", "keep: 90d");
    const hot = hotDays(day("2026-01-02"), 2);
    const begun = (["uploaded", "sealed", "pruning"] as const).map((state, index) =>
      segment(index + 1, state, { dayFrom: day("2026-01-01") }),
    );
    await expectGolden("policy-changed", {
      "rows would leave sooner than the last policy said": text(
        scene({ policy: shorter, previous: policy(), hot }),
      ),
      "the same, confirmed": text(scene({ policy: shorter, previous: policy(), confirmSooner: true, hot })),
      "rows would no longer be archived, and others no longer be kept out of reach": text(
        scene({ policy: before, previous: policy("prune: off\n"), hot }),
      ),
      "the same policy as before": text(scene({ previous: policy(), hot })),
      "rows stay longer: what was begun is verified, and its rows stay hot for now": text(
        scene({ policy: longer, previous: policy(), catalog: { unfinished: begun } }),
      ),
    });
  });

  it("what is held back: what waits for a person comes first", () => {
    const held = (dayText: string, needsPerson: boolean): Held => ({
      leaf: null,
      rule: "default",
      day: day(dayText),
      rows: 1n,
      reason: "why",
      needsPerson,
    });
    expect(heldText([held("2026-01-01", false), held("2026-01-02", true)])).toEqual([
      "held back: 2 partitions, 1 of them until a person does something",
      "  2026-01-02 default: why",
      "  2026-01-01 default: why",
    ]);
    expect(heldText([held("2026-01-01", false)])[0]).toBe("held back: 1 partition");
    expect(heldText([])).toEqual([]);
  });

  it("for machines", async () => {
    const input = scene({
      hot: [...hotDays(day("2026-01-03"), 1, 9_007_199_254_740_993n), { ...lateDay, rows: 1_003n }],
      catalog: {
        unfinished: [segment(7, "sealed", { dayFrom: lateDay.day })],
        everMoved: true,
      },
    });
    const blocked = scene({ hot: hotDays(day("2025-12-01"), 34), catalog: { everMoved: false } });
    const json = (one: PlanInput): string => planJson(one.policy.pipeline, makePlan(one)).join("\n");
    await expectGolden("json", {
      "steps, what is held, totals": json(input),
      "a blocker (the last two lines)": json(blocked).split("\n").slice(-2).join("\n"),
      "nothing to do": json(scene()),
    });
    for (const line of [...json(input).split("\n"), ...json(blocked).split("\n")]) {
      expect(JSON.parse(line)).toMatchObject({ pipeline: "audit_logs" });
    }
  });
});
