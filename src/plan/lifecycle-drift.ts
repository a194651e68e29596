/**
 * A bucket's lifecycle rules compared with those that the policies want: what is missing, what says something else, and
 * which rules of other people would remove or move what is ours.
 */
import type { Policy } from "../policy/policy.ts";
import {
  COLD_TAG,
  type LifecycleFilter,
  type LifecycleRule,
  type LifecycleTag,
  lifecycleRules,
  prefixesOf,
  ruleIdsOf,
} from "./lifecycle-rules.ts";

export interface FieldDrift {
  /** `Transitions[0].StorageClass` */
  readonly field: string;
  /** As JSON; null where it is not there. */
  readonly found: string | null;
  readonly expected: string | null;
}

export type RuleDrift =
  | { readonly kind: "missing"; readonly id: string }
  | { readonly kind: "different"; readonly id: string; readonly fields: readonly FieldDrift[] }
  /** Ours, and the policy wants it no more. */
  | { readonly kind: "needless"; readonly id: string };

/** What a rule that is not ours does to our objects. */
export interface ForeignEffect {
  readonly id: string;
  /** The prefix of ours that it reaches. */
  readonly prefix: string;
  /** `deletes objects after 30 days`; no capital, no full stop. */
  readonly effect: string;
}

export interface LifecycleDrift {
  readonly rules: readonly RuleDrift[];
  readonly foreign: readonly ForeignEffect[];
  /** How many rules of ours are as they should be. */
  readonly right: number;
  /** How many rules of the bucket are other people's, or of pipelines that nobody asked about. */
  readonly others: number;
}

export function lifecycleDrift(policies: readonly Policy[], found: readonly LifecycleRule[]): LifecycleDrift {
  const expected = lifecycleRules(policies);
  const known = knownIds(policies);
  const own = new Map(found.flatMap((rule) => (isKnown(known, rule) ? [[rule.ID as string, rule]] : [])));
  const wanted = new Set(expected.map(({ ID }) => ID));
  const rules = [
    ...expected.flatMap((rule) => compare(rule, own.get(rule.ID as string))),
    ...[...own.keys()].filter((id) => !wanted.has(id)).map((id) => ({ kind: "needless", id }) as const),
  ];
  const others = found.filter((rule) => !isKnown(known, rule));
  return {
    rules,
    foreign: foreignEffects(others, policies.flatMap(prefixesOf)),
    right: expected.length - rules.filter(({ kind }) => kind !== "needless").length,
    others: others.length,
  };
}

/** The bucket's rules as they should be: other people's as they are and in their order, then ours. */
export function mergedRules(
  policies: readonly Policy[],
  found: readonly LifecycleRule[],
): readonly LifecycleRule[] {
  const known = knownIds(policies);
  return [...found.filter((rule) => !isKnown(known, rule)), ...lifecycleRules(policies)];
}

/** Whether both say the same, in whatever order and spelling. */
export function areSameRules(a: readonly LifecycleRule[], b: readonly LifecycleRule[]): boolean {
  const text = (rules: readonly LifecycleRule[]): string =>
    JSON.stringify(rules.map((rule) => JSON.stringify([...leavesOf(rule)].sort())).sort());
  return text(a) === text(b);
}

/**
 * What these rules would do to objects below `prefixes`. Rules that are switched off do nothing, and one for a tag that
 * Firnline does not set reaches only what somebody tags on purpose. Old versions count: the journal pins versions, and
 * one that was written over is an old one.
 */
export function foreignEffects(
  rules: readonly LifecycleRule[],
  prefixes: readonly string[],
): ForeignEffect[] {
  return rules.flatMap((rule) => {
    if (rule.Status !== "Enabled" || !hasOurTagsOnly(rule)) return [];
    const of = filterOf(rule).prefix;
    const effects = effectsOf(rule);
    return prefixes
      .filter((prefix) => prefix.startsWith(of) || of.startsWith(prefix))
      .flatMap((prefix) => effects.map((effect) => ({ id: rule.ID ?? "(without an id)", prefix, effect })));
  });
}

function effectsOf(rule: LifecycleRule): string[] {
  const { Expiration, NoncurrentVersionExpiration, NoncurrentVersionTransitions, Transitions } = rule;
  const effects: string[] = [];
  // ExpiredObjectDeleteMarker alone removes markers that have nothing below them.
  if (Expiration?.Days !== undefined || Expiration?.Date !== undefined) {
    effects.push(`deletes objects ${whenText(Expiration.Days, Expiration.Date)}`);
  }
  if (NoncurrentVersionExpiration !== undefined) {
    const { NoncurrentDays, NewerNoncurrentVersions } = NoncurrentVersionExpiration;
    const but = NewerNoncurrentVersions === undefined ? "" : ` but the last ${NewerNoncurrentVersions}`;
    effects.push(`deletes old versions${but} ${whenText(NoncurrentDays)}`);
  }
  for (const { Days, Date, StorageClass } of Transitions ?? []) {
    effects.push(`moves objects to ${StorageClass} ${whenText(Days, Date)}`);
  }
  for (const { NoncurrentDays, StorageClass } of NoncurrentVersionTransitions ?? []) {
    effects.push(`moves old versions to ${StorageClass} ${whenText(NoncurrentDays)}`);
  }
  return effects;
}

function whenText(days: number | undefined, date?: string): string {
  if (date !== undefined) return `from ${date.slice(0, 10)} on`;
  return days === undefined || days === 0 ? "at once" : `after ${days} ${days === 1 ? "day" : "days"}`;
}

function compare(expected: LifecycleRule, found: LifecycleRule | undefined): RuleDrift[] {
  const id = expected.ID as string;
  if (found === undefined) return [{ kind: "missing", id }];
  const [want, have] = [leavesOf(expected), leavesOf(found)];
  const fields = [...new Set([...want.keys(), ...have.keys()])]
    .map((field) => ({ field, found: have.get(field) ?? null, expected: want.get(field) ?? null }))
    .filter((one) => one.found !== one.expected);
  return fields.length === 0 ? [] : [{ kind: "different", id, fields }];
}

const knownIds = (policies: readonly Policy[]): ReadonlySet<string> => new Set(policies.flatMap(ruleIdsOf));
const isKnown = (known: ReadonlySet<string>, { ID }: LifecycleRule): boolean =>
  ID !== undefined && known.has(ID);

interface PlainFilter {
  readonly prefix: string;
  readonly tags: readonly LifecycleTag[];
  readonly sizes: Readonly<Record<string, number | undefined>>;
}

/** A filter can be written in several ways: in the old place, as one condition, or as an And of them. */
function filterOf({ Filter = {}, Prefix }: LifecycleRule): PlainFilter {
  const { And, Tag, ...one }: LifecycleFilter = Filter;
  const all = { ...one, ...And };
  const tags = [...(Tag === undefined ? [] : [Tag]), ...(And?.Tags ?? [])];
  return {
    prefix: all.Prefix ?? Prefix ?? "",
    tags: tags.toSorted((a, b) => (a.Key < b.Key ? -1 : 1)),
    sizes: {
      ObjectSizeGreaterThan: all.ObjectSizeGreaterThan,
      ObjectSizeLessThan: all.ObjectSizeLessThan,
    },
  };
}

function hasOurTagsOnly(rule: LifecycleRule): boolean {
  return filterOf(rule).tags.every(({ Key, Value }) => Key === COLD_TAG.Key && Value === COLD_TAG.Value);
}

/** Every value of a rule by its path, with the filter in one form, so that two spellings of a rule are equal. */
function leavesOf({ Filter, Prefix, ...rest }: LifecycleRule): Map<string, string> {
  const { prefix, tags, sizes } = filterOf({
    Status: "",
    ...(Filter && { Filter }),
    ...(Prefix !== undefined && { Prefix }),
  });
  const leaves = new Map<string, string>();
  const add = (path: string, value: unknown): void => {
    if (value === undefined || value === null) return;
    if (Array.isArray(value)) for (const [index, one] of value.entries()) add(`${path}[${index}]`, one);
    else if (typeof value === "object") {
      for (const [key, one] of Object.entries(value)) add(path === "" ? key : `${path}.${key}`, one);
    } else leaves.set(path, JSON.stringify(value));
  };
  add("Filter", {
    Prefix: prefix,
    ...Object.fromEntries(tags.map(({ Key, Value }) => [`Tag(${Key})`, Value])),
    ...sizes,
  });
  add("", rest);
  return leaves;
}
