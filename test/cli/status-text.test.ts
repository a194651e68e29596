/** What `firnline status` says of a pipeline that is not all well. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backlogOf, statusJson, statusText, tiersOf } from "../../src/cli/status-text.ts";
import type { Hold } from "../../src/catalog/holds.ts";
import type { RunRecord, TierTotals } from "../../src/catalog/port.ts";
import type { Held, Step } from "../../src/plan/step.ts";
import { type EpochMicros, type EpochMs, parseDay, parseInstant } from "../../src/rows/day.ts";
import { SEGMENT_STATES } from "../../src/segment/state.ts";
import type { Status } from "../../src/pipeline-options.ts";

const NIGHT = Date.UTC(2026, 2, 1, 2) as EpochMs;
const RUN_ID = "0b9b1c1e-0000-4000-8000-000000000000";

function status(changes: Partial<Status> & { steps?: Step[]; held?: Held[] } = {}): Status {
  const { steps = [], held = [], ...rest } = changes;
  return {
    pipeline: "audit_logs",
    table: "public.audit_logs",
    census: {
      rows: 1_234_567n,
      bytes: 734_003_200n,
      oldest: parseInstant("2026-01-30T00:00:00.000001Z"),
      newest: parseInstant("2026-03-01T01:59:59Z"),
      leftovers: { nullTime: 0n, infiniteTime: 0n, outOfCalendar: 0n },
    },
    totals: [],
    runs: [],
    holds: [],
    plan: { asOf: 0n as EpochMicros, steps, held, blockers: [] },
    ...rest,
  };
}

function totals(state: TierTotals["state"], rows: bigint, rowsPruned: bigint, day: string): TierTotals {
  return {
    state,
    storageClass: "STANDARD",
    isSmall: false,
    segments: 2,
    rows,
    rowsPruned,
    bytes: rows * 100n,
    oldest: parseDay(day),
    newest: parseDay(day),
  };
}

function step(stages: Step["stages"], day: string, segment: string | null): Step {
  const partition = { leaf: null, rule: "default", day: parseDay(day) };
  return { stages, ...partition, replaces: false, segment, rows: 1n, bytes: 1n, reason: "why" };
}

function run(changes: Partial<RunRecord>): RunRecord {
  return {
    run: RUN_ID,
    state: "done",
    asOf: 0n as EpochMicros,
    startedAt: NIGHT,
    finishedAt: (NIGHT + 61_234) as EpochMs,
    summary: { exported: "0", pruned: "0", deleted: "0", cooled: "0", drift: 0 },
    error: null,
    ...changes,
  };
}

describe("the tiers", () => {
  it("hold each row once: hot is the table, the archive counts what has left it", () => {
    const all = status({
      totals: [
        totals("uploaded", 500n, 0n, "2026-01-29"),
        totals("sealed", 400n, 0n, "2026-01-28"),
        totals("pruning", 300n, 120n, "2026-01-27"),
        totals("warm", 2_000n, 2_000n, "2025-12-01"),
        totals("cooling", 50n, 50n, "2025-02-02"),
        totals("cold", 9_000_000n, 9_000_000n, "2025-01-01"),
        totals("abandoned", 77n, 0n, "2024-01-01"),
      ],
    });
    expect(statusText(all).slice(0, 6)).toEqual([
      "audit_logs: table public.audit_logs, 700 MiB with indexes and TOAST",
      "  tier       rows     size  segments  oldest      newest",
      "  ----  ---------  -------  --------  ----------  ----------",
      "  hot   1,234,567  700 MiB            2026-01-30  2026-03-01",
      "  warm      2,170  229 KiB         6  2025-02-02  2026-01-27",
      "  cold  9,000,000  858 MiB         2  2025-01-01  2025-01-01",
    ]);
  });

  it("sum up to the table and what was pruned, whatever states there are", () => {
    const total = fc
      .record({ state: fc.constantFrom(...SEGMENT_STATES), pruned: fc.bigInt(0n, 2n ** 70n) })
      .map(({ state, pruned }) => {
        const isPruned = ["pruning", "warm", "cooling", "cold"].includes(state);
        return totals(state, 2n ** 70n, isPruned ? pruned : 0n, "2025-01-01");
      });
    fc.assert(
      fc.property(fc.uniqueArray(total, { selector: ({ state }) => state }), (found) => {
        const sum = tiersOf(status({ totals: found })).reduce((rows, tier) => rows + tier.rows, 0n);
        expect(sum).toBe(found.reduce((rows, { rowsPruned }) => rows + rowsPruned, 1_234_567n));
      }),
    );
  });

  it("are empty, not missing, before the first run and of an empty table", () => {
    const empty = status({ census: { ...status().census, rows: 0n, bytes: 0n, oldest: null, newest: null } });
    expect(statusText(empty).slice(3)).toEqual([
      "  hot      0   0 B",
      "  warm     0   0 B         0",
      "  cold     0   0 B         0",
      "  overdue: nothing",
      "  runs: none yet",
    ]);
  });
});

describe("the backlog", () => {
  it("tells days to move, segments to finish and segments to cool down apart", () => {
    const waiting = status({
      steps: [
        step(["abandon"], "2026-01-25", "s1"),
        step(["seal", "prune"], "2026-01-26", "s2"),
        step(["prune", "transition"], "2026-01-27", "s3"),
        step(["export", "seal", "prune"], "2026-01-28", null),
        step(["delete"], "2026-01-28", null),
        step(["export", "seal", "prune"], "2026-01-29", null),
        step(["transition"], "2025-01-01", "s4"),
        step(["expire"], "2019-01-01", "s5"),
        step(["lock"], "2019-01-02", "s6"),
      ],
      held: [
        {
          leaf: null,
          rule: "default",
          day: parseDay("2026-01-29"),
          rows: 1n,
          reason: "why",
          needsPerson: false,
        },
      ],
    });
    expect(backlogOf(waiting)).toEqual({
      overdueDays: 2,
      unfinishedSegments: 3,
      dueForCold: 1,
      dueForExpiry: 1,
      held: 1,
    });
    expect(statusText(waiting).slice(6, 8)).toEqual([
      "  overdue: 2 days to move, 3 segments to finish, 1 segment to cool down, 1 segment to expire; the next run does it, `firnline plan` says how",
      "  held back: 1 partition; `firnline plan` says why",
    ]);
  });
});

it("holds in force and what expired are told, each on a line", () => {
  const hold: Hold = {
    hold: "0d5cf1a2-0000-4000-8000-000000000000",
    dayFrom: parseDay("2024-01-01"),
    dayTo: parseDay("2024-03-31"),
    reason: "case 17",
    placedBy: "jane",
    placedAt: NIGHT,
    released: null,
  };
  const found = status({
    holds: [hold],
    totals: [totals("expired", 1_200n, 0n, "2019-01-01"), totals("expiring", 34n, 0n, "2019-01-02")],
  });
  expect(statusText(found).slice(7, 9)).toEqual([
    "  hold 0d5cf1a2 on 2024-01-01 .. 2024-03-31 since 2026-03-01, by jane: case 17",
    "  expired: 1,234 rows of 4 segments, by policy",
  ]);
  expect(JSON.parse(statusJson(found))).toMatchObject({
    expired: { segments: 4, rows: "1234" },
    holds: [{ hold: hold.hold, from: "2024-01-01", to: "2024-03-31", released: null }],
  });
});

it("leftovers: rows that no stage will ever move are named, each kind on a line", () => {
  const census = {
    ...status().census,
    leftovers: { nullTime: 1n, infiniteTime: 2n, outOfCalendar: 12_345n },
  };
  expect(statusText(status({ census })).slice(7, 10)).toEqual([
    "  leftover: 1 row with a NULL time; no stage ever moves them",
    "  leftover: 2 rows with an infinite time; no stage ever moves them",
    "  leftover: 12,345 rows with a time before year 1 or after year 9999; no stage ever moves them",
  ]);
});

it("runs: how each ended, what it moved, and why it failed", () => {
  const runs = [
    run({ state: "running", finishedAt: null, summary: null }),
    run({}),
    run({
      state: "partly",
      summary: { exported: "1200", pruned: "1100", deleted: "7", cooled: "3", drift: 2 },
    }),
    run({
      state: "failed",
      summary: { exported: "0", pruned: "0", deleted: "0", cooled: "0", drift: 0 },
      error: "E_KEY a: none. Add one.\nE_TYPE a: odd. Change it.",
    }),
    run({ state: "interrupted", summary: null }),
  ];
  expect(statusText(status({ runs })).slice(7)).toEqual([
    "  last runs:",
    "    2026-03-01T02:00:00Z running",
    "    2026-03-01T02:00:00Z done in 61.2 s: nothing moved",
    "    2026-03-01T02:00:00Z partly in 61.2 s: archived 1,200, pruned 1,100, deleted 7, cooled 3, drifted chunks 2",
    "    2026-03-01T02:00:00Z failed in 61.2 s: nothing moved; E_KEY a: none. Add one. E_TYPE a: odd. Change it.",
    "    2026-03-01T02:00:00Z interrupted in 61.2 s",
  ]);
});

it("for machines: one object, counts as decimal strings, instants in RFC 3339", () => {
  const found = status({ totals: [totals("cold", 2n ** 64n, 2n ** 64n, "2025-01-01")], runs: [run({})] });
  expect(JSON.parse(statusJson(found))).toEqual({
    pipeline: "audit_logs",
    table: "public.audit_logs",
    tableBytes: "734003200",
    tiers: [
      {
        tier: "hot",
        rows: "1234567",
        bytes: "734003200",
        oldest: "2026-01-30T00:00:00.000001Z",
        newest: "2026-03-01T01:59:59.000000Z",
        segments: null,
      },
      { tier: "warm", rows: "0", bytes: "0", oldest: null, newest: null, segments: 0 },
      {
        tier: "cold",
        rows: "18446744073709551616",
        bytes: "1844674407370955161600",
        oldest: "2025-01-01",
        newest: "2025-01-01",
        segments: 2,
      },
    ],
    overdueDays: 0,
    unfinishedSegments: 0,
    dueForCold: 0,
    dueForExpiry: 0,
    held: 0,
    leftovers: { nullTime: "0", infiniteTime: "0", outOfCalendar: "0" },
    expired: { segments: 0, rows: "0" },
    holds: [],
    runs: [
      {
        run: RUN_ID,
        state: "done",
        asOf: "1970-01-01T00:00:00.000000Z",
        startedAt: "2026-03-01T02:00:00.000Z",
        finishedAt: "2026-03-01T02:01:01.234Z",
        summary: { exported: "0", pruned: "0", deleted: "0", cooled: "0", drift: 0 },
        error: null,
      },
    ],
  });
});
