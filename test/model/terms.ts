/** What the owner wants to be kept, and when a row may leave: the model's own arithmetic, in plain days. */
import { parsePolicy, type Policy } from "../../src/policy/policy.ts";
import { dayOfRow, type Row } from "./rows.ts";

export const PIPELINE = "events";
export const TABLE = "public.events";

/** The action whose rows a delete-only rule takes, and the one with a rule of its own. */
export const DENIED = "access_denied";
export const BILLING = "billing";

export interface Terms {
  /** Days that rows stay hot, by rule; null where the policy has no rule `billing`. */
  readonly hot: number;
  readonly billing: number | null;
  readonly denied: number;
  readonly warm: number;
  readonly prune: "auto" | "rows" | "partitions" | "off";
}

export const TERMS = {
  usual: { hot: 5, billing: 7, denied: 4, warm: 9, prune: "auto" },
  longer: { hot: 7, billing: 8, denied: 6, warm: 10, prune: "auto" },
  sooner: { hot: 3, billing: 5, denied: 3, warm: 8, prune: "rows" },
  archiveOnly: { hot: 5, billing: 7, denied: 4, warm: 9, prune: "off" },
  leavesOnly: { hot: 5, billing: 7, denied: 4, warm: 9, prune: "partitions" },
  withoutBilling: { hot: 5, billing: null, denied: 4, warm: 9, prune: "auto" },
} as const satisfies Record<string, Terms>;
export type TermsName = keyof typeof TERMS;

/** Where the table is one piece, there are no partitions to drop: then it is `auto`. */
export function policyOf({ hot, billing, denied, warm, prune }: Terms, isPartitioned: boolean): Policy {
  const rules = [
    { name: "denied", when: `action = '${DENIED}'`, hot: `${denied}d`, archive: false },
    ...(billing === null ? [] : [{ name: "billing", when: `action = '${BILLING}'`, hot: `${billing}d` }]),
  ];
  const policy = {
    version: 1,
    pipeline: PIPELINE,
    source: { connection: "DATABASE_URL", table: TABLE, time: "ts" },
    archive: { url: "file:///replaced-by-one-in-memory" },
    tiers: {
      hot: { keep: `${hot}d` },
      warm: { keep: `${warm}d` },
      cold: { storageClass: "DEEP_ARCHIVE", keep: "forever" },
    },
    rules,
    prune: prune === "partitions" && !isPartitioned ? "auto" : prune,
  };
  return parsePolicy(JSON.stringify(policy), "events.yaml");
}

export type RuleName = "denied" | "billing" | "default";

export function ruleOf({ action }: Row, { billing }: Terms): RuleName {
  if (action === DENIED) return "denied";
  return action === BILLING && billing !== null ? "billing" : "default";
}

function daysOf(rule: RuleName, { hot, billing, denied }: Terms): number {
  if (rule === "denied") return denied;
  return rule === "billing" ? (billing ?? hot) : hot;
}

/** An instant, in hours since 1970. */
export type Hours = number;

/** A row is due when its day ended at least so many days ago. */
export function isDue(row: Row, terms: Terms, asOf: Hours): boolean {
  return (dayOfRow(row) + 1 + daysOf(ruleOf(row, terms), terms)) * 24 <= asOf;
}

/** The last day that the default rule lets go of. */
export const lastDueDay = (terms: Terms, asOf: Hours): number => Math.floor(asOf / 24) - terms.hot - 1;

/** Whether `next` lets go of anything sooner than `before` did, which a run must not do unasked (I12). */
export function isSooner(before: Terms, next: Terms): boolean {
  if (before.prune === "off" && next.prune !== "off") return true;
  const billing = next.billing ?? next.hot;
  return next.hot < before.hot || billing < (before.billing ?? before.hot) || next.denied < before.denied;
}
