/**
 * The policy as the journal keeps it, and what has become shorter since (I12: deleting sooner than the last
 * applied policy needs an explicit confirmation).
 */
import { z } from "zod";

import { FirnlineError, invariant } from "../errors.ts";
import { formatKeep } from "./duration.ts";
import type { Policy, PolicyLock, Rule } from "./policy.ts";
import { PRUNE_MODES, STORAGE_CLASSES, TRANSITION_MODES } from "./schema.ts";

const FORMAT = 1;
const days = z.int().min(1);

const journaledRule = z.strictObject({
  name: z.string(),
  when: z.string().nullable(),
  archive: z.boolean(),
  hotDays: days,
  warmDays: days,
  coldDays: days.nullable(),
});

const journaledPolicy = z.strictObject({
  format: z.literal(FORMAT),
  pipeline: z.string(),
  source: z.strictObject({
    connectionVariable: z.string(),
    table: z.strictObject({ schema: z.string(), name: z.string() }),
    time: z.string(),
    zone: z.string().nullable(),
    key: z.array(z.string()).nullable(),
  }),
  archive: z.strictObject({
    url: z.string(),
    region: z.string().nullable(),
    endpoint: z.string().nullable(),
    owner: z.string().nullable().default(null),
    // Policies of the first version have none.
    recoveryDays: days.default(14),
    lock: z
      .strictObject({ mode: z.enum(["GOVERNANCE", "COMPLIANCE"]), keepDays: days })
      .nullable()
      .default(null),
    encryption: z
      .strictObject({ mode: z.enum(["SSE-S3", "SSE-KMS"]), key: z.string().nullable() })
      .nullable()
      .default(null),
    bloomFilters: z.array(z.string()).default([]),
  }),
  hot: z.strictObject({ keepDays: days }),
  warm: z.strictObject({ keepDays: days, storageClass: z.enum(STORAGE_CLASSES) }),
  cold: z
    .strictObject({
      storageClass: z.enum(STORAGE_CLASSES),
      vault: z.string().nullable().default(null),
      // Policies of the first versions were of folders alone, where a class is set in place.
      transition: z.enum(TRANSITION_MODES).default("copy"),
      keepDays: days.nullable(),
      objectBytesMin: z
        .string()
        .regex(/^(0|[1-9][0-9]{0,18})$/)
        .nullable(),
    })
    .nullable(),
  rules: z.array(journaledRule).min(1),
  // Policies of the first versions have none.
  retired: z.array(journaledRule).default([]),
  prune: z.enum(PRUNE_MODES),
});

/** Plain JSON: no bigint, nothing undefined. Bytes are decimal strings. */
export type PolicyJson = z.infer<typeof journaledPolicy>;

/** A policy that was journaled. */
export interface AppliedPolicy extends Policy {
  /** Rules that archived rows and are gone, or archive no more, as they last were: their segments keep that retention. */
  readonly retired?: readonly Rule[];
}

/**
 * The policy as plain JSON, always the same keys; `policyFromJson` is its inverse. `previous`, the last journaled one, says
 * what has retired so far.
 */
export function policyToJson(policy: Policy, previous: AppliedPolicy | null = null): PolicyJson {
  const { pipeline, source, archive, hot, warm, cold, rules, prune } = policy;
  return {
    format: FORMAT,
    pipeline,
    source: {
      connectionVariable: source.connectionVariable,
      table: { schema: source.table.schema, name: source.table.name },
      time: source.time,
      zone: source.zone,
      key: source.key === null ? null : [...source.key],
    },
    archive: {
      url: archive.url,
      region: archive.region,
      endpoint: archive.endpoint,
      owner: archive.owner,
      recoveryDays: archive.recoveryDays,
      lock: archive.lock === null ? null : { mode: archive.lock.mode, keepDays: archive.lock.keepDays },
      encryption:
        archive.encryption === null ? null : { mode: archive.encryption.mode, key: archive.encryption.key },
      bloomFilters: [...archive.bloomFilters],
    },
    hot: { keepDays: hot.keepDays },
    warm: { keepDays: warm.keepDays, storageClass: warm.storageClass },
    cold:
      cold === null
        ? null
        : {
            storageClass: cold.storageClass,
            vault: cold.vault,
            transition: cold.transition,
            keepDays: cold.keepDays,
            objectBytesMin: cold.objectBytesMin === null ? null : String(cold.objectBytesMin),
          },
    rules: rules.map(ruleToJson),
    retired: previous === null ? [] : retiredRules(previous, policy).map(ruleToJson),
    prune,
  };
}

function ruleToJson({ name, when, archive, hotDays, warmDays, coldDays }: Rule): PolicyJson["rules"][number] {
  return { name, when, archive, hotDays, warmDays, coldDays };
}

/** What is in force again retires no more. */
function retiredRules({ retired = [], rules }: AppliedPolicy, next: Policy): Rule[] {
  const archives = (policy: Policy, name: string): boolean =>
    policy.rules.some((rule) => rule.name === name && rule.archive);
  const known = [...retired, ...rules.filter(({ archive }) => archive)];
  return known.filter(({ name }) => !archives(next, name));
}

/** Reads what `policyToJson` wrote. Throws `E_FORMAT` about `subject` (a journal key) on anything else. */
export function policyFromJson(json: unknown, subject: string): AppliedPolicy {
  const result = journaledPolicy.safeParse(json);
  if (!result.success) {
    const paths = result.error.issues.map(({ path }) => path.join(".") || "(all of it)");
    throw new FirnlineError({
      code: "E_FORMAT",
      subject,
      problem: `not a policy that this version can read (at ${[...new Set(paths)].slice(0, 5).join(", ")})`,
      hint: "Use the version of Firnline that wrote it, or a newer one",
    });
  }
  const { format: _, cold, ...same } = result.data;
  if (cold === null) return { ...same, cold };
  const objectBytesMin = cold.objectBytesMin === null ? null : BigInt(cold.objectBytesMin);
  return { ...same, cold: { ...cold, objectBytesMin } };
}

export interface SoonerFinding {
  /** The rule of the next policy, or the field, that deletes sooner. */
  readonly subject: string;
  readonly reason: string;
}

/**
 * Every way in which `next` deletes sooner than `previous`, the last journaled policy of the same pipeline;
 * empty when none (I12). Besides the same-named rule, each rule is compared with the rules whose rows it may
 * have taken over: by being new or reordered, or because a predicate changed. Removing a rule shortens
 * nothing that is already archived: a removed rule keeps its last retention, which it is compared with when it comes back.
 */
export function isDeletedSooner(previous: AppliedPolicy, next: Policy): SoonerFinding[] {
  invariant(
    previous.pipeline === next.pipeline,
    next.pipeline,
    `compared with the policy of ${previous.pipeline}`,
  );
  const findings: SoonerFinding[] = [];
  if (previous.prune === "off" && next.prune !== "off") {
    const reason = `nothing was deleted from Postgres so far (off), and now rows are (${next.prune})`;
    findings.push({ subject: "prune", reason });
  }
  findings.push(...unlockedSooner(previous.archive.lock, next.archive.lock));
  for (const field of ["time", "zone"] as const) {
    const [before, after] = [previous.source[field], next.source[field]];
    if (before === after) continue;
    const change = `(${before ?? "none"} before, ${after ?? "none"} now)`;
    findings.push({ subject: `source.${field}`, reason: `ages are counted from something else ${change}` });
  }
  for (const to of next.rules) {
    for (const from of previous.rules) {
      if (!mayTakeOver(previous.rules, next.rules, from, to)) continue;
      const prefix = from.name === to.name ? "" : `may take rows of rule ${from.name}: `;
      for (const reason of shortened(from, to))
        findings.push({ subject: `rule ${to.name}`, reason: prefix + reason });
    }
    for (const from of previous.retired ?? []) {
      if (from.name !== to.name) continue;
      for (const reason of expiresSooner(from, to)) findings.push({ subject: `rule ${to.name}`, reason });
    }
  }
  return findings;
}

/** Locks that are there stay as long as they were put on for: a shorter one is for the objects to come. */
function unlockedSooner(from: PolicyLock | null, to: PolicyLock | null): SoonerFinding[] {
  const subject = "archive.lock";
  if (from === null) return [];
  if (to === null) return [{ subject, reason: "new objects are not locked any more" }];
  const findings: SoonerFinding[] = [];
  if (from.mode === "COMPLIANCE" && to.mode === "GOVERNANCE") {
    findings.push({
      subject,
      reason: "locks of new objects can be bypassed (GOVERNANCE, COMPLIANCE before)",
    });
  }
  if (to.keepDays < from.keepDays) {
    const ages = `${formatKeep(to.keepDays)} (${formatKeep(from.keepDays)} before)`;
    findings.push({ subject, reason: `new objects are locked for ${ages}` });
  }
  return findings;
}

/** Whether a row that `from` matched first before may be matched first by `to` now. */
function mayTakeOver(previous: readonly Rule[], next: readonly Rule[], from: Rule, to: Rule): boolean {
  if (from.name === to.name) return true;
  const unchanged = (rules: readonly Rule[], rule: Rule) =>
    rules.findIndex(({ name, when }) => name === rule.name && when === rule.when);
  // The row still matches `from`, which stands before `to`.
  const fromNow = unchanged(next, from);
  if (fromNow >= 0 && fromNow < next.indexOf(to)) return false;
  // `to` stood before `from` already, and did not match the row.
  const toBefore = unchanged(previous, to);
  return !(toBefore >= 0 && toBefore < previous.indexOf(from));
}

function shortened(from: Rule, to: Rule): string[] {
  const reasons: string[] = [];
  if (from.archive && !to.archive) {
    reasons.push(`rows are deleted after ${formatKeep(to.hotDays)} without being archived (archived before)`);
  }
  if (to.hotDays < from.hotDays) {
    reasons.push(`rows leave Postgres after ${formatKeep(to.hotDays)} (${formatKeep(from.hotDays)} before)`);
  }
  return [...reasons, ...expiresSooner(from, to)];
}

function expiresSooner(from: Rule, to: Rule): string[] {
  if (!from.archive || !to.archive || to.coldDays === null) return [];
  if (from.coldDays !== null && to.coldDays >= from.coldDays) return [];
  return [`archived rows expire after ${formatKeep(to.coldDays)} (${formatKeep(from.coldDays)} before)`];
}
