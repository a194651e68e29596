/**
 * What must hold between the fields of a policy file. It looks at the file as written, not at the schema's
 * result, so that these findings are reported together with those of single fields: a part that cannot be
 * read is left out.
 */
import { formatKeep, readKeep, readKeepOrForever } from "./duration.ts";
import { valueAt, type Finding, type Path } from "./findings.ts";
import { readColumn } from "./readers/identifier.ts";
import { matchesAll } from "./readers/predicate.ts";
import { STORAGE_CLASSES, type StorageClass } from "./schema.ts";

/** Days, `null` for forever; undefined where there is nothing, or nothing readable. */
type KeepFound = number | null | undefined;

const TIERS = {
  hot: ["tiers", "hot", "keep"],
  warm: ["tiers", "warm", "keep"],
  cold: ["tiers", "cold", "keep"],
} as const;
type Tier = keyof typeof TIERS;

/** All findings of `file`, a value of plain YAML of any shape. */
export function coherenceFindings(file: unknown): Finding[] {
  return [
    ...tierFindings(file),
    ...ruleFindings(file),
    ...archiveFindings(file),
    ...columnFindings(file, ["source", "key"], "key"),
    ...columnFindings(file, ["archive", "bloomFilters"], "list"),
  ];
}

function keepAt(file: unknown, path: Path, tier: Tier): KeepFound {
  const value = valueAt(file, path);
  if (typeof value !== "string") return undefined;
  const reading = tier === "cold" ? readKeepOrForever(value) : readKeep(value);
  return reading.ok ? reading.value : undefined;
}

const isMapping = (value: unknown): value is object => typeof value === "object" && value !== null;

interface Age {
  readonly path: Path;
  readonly keep: KeepFound;
  /** How a message names it when it stands elsewhere. */
  readonly label: string;
}

/** A record passes through the tiers in order: `older` must exceed `younger`. `blame` gets the finding. */
function outOfOrder(younger: Age, older: Age, blame: "younger" | "older"): Finding[] {
  if (typeof younger.keep !== "number" || typeof older.keep !== "number" || older.keep > younger.keep)
    return [];
  const [young, old] = [formatKeep(younger.keep), formatKeep(older.keep)];
  const [{ path }, problem, hint] =
    blame === "older"
      ? [
          older,
          `must be longer than ${younger.label}`,
          `Write more than ${young} here, or shorten ${younger.label}`,
        ]
      : [
          younger,
          `must be shorter than ${older.label}`,
          `Write less than ${old} here, or override ${older.label} in this rule`,
        ];
  const found = `both are ages of the record (found ${young}, then ${old})`;
  return [{ path, at: "value", problem: `${problem}, as ${found}`, hint }];
}

const ageOfTier = (file: unknown, tier: Tier): Age => ({
  path: TIERS[tier],
  keep: keepAt(file, TIERS[tier], tier),
  label: TIERS[tier].join("."),
});

function tierFindings(file: unknown): Finding[] {
  const [hot, warm, cold] = [ageOfTier(file, "hot"), ageOfTier(file, "warm"), ageOfTier(file, "cold")];
  const findings = [...outOfOrder(hot, warm, "older"), ...outOfOrder(warm, cold, "older")];
  if (!isMapping(valueAt(file, ["tiers", "cold"]))) return findings;
  const classOf = (tier: Tier, fallback: StorageClass) =>
    (valueAt(file, ["tiers", tier, "storageClass"]) ?? fallback) as StorageClass;
  const warmClass = classOf("warm", "STANDARD");
  const coldClass = classOf("cold", "DEEP_ARCHIVE");
  const [warmRank, coldRank] = [STORAGE_CLASSES.indexOf(warmClass), STORAGE_CLASSES.indexOf(coldClass)];
  if (warmRank >= 0 && coldRank >= 0 && coldRank <= warmRank) {
    findings.push({
      path: ["tiers", "cold", "storageClass"],
      at: "value",
      problem: `not colder than the warm tier (found ${coldClass} after ${warmClass})`,
      hint: "Write a colder class, or leave tiers.cold out",
    });
  }
  return findings;
}

function ruleFindings(file: unknown): Finding[] {
  const rules = valueAt(file, ["rules"]);
  if (!Array.isArray(rules)) return [];
  const findings: Finding[] = [];
  const seen = new Set<unknown>();
  let all: string | null = null;
  for (const [index, rule] of rules.entries()) {
    if (!isMapping(rule)) continue;
    const at = (key: string): Path => ["rules", index, key];
    const name = valueAt(rule, ["name"]);
    if (typeof name === "string" && seen.has(name)) {
      const hint = "Choose another name; names of rules are permanent ids";
      findings.push({ path: at("name"), at: "value", problem: "another rule has this name", hint });
    }
    seen.add(name);
    if (all !== null) {
      const hint = `Move it before ${all}, or remove it`;
      const problem = `no row gets here, because ${all} matches every row`;
      findings.push({ path: ["rules", index], at: "value", problem, hint });
    }
    const when = valueAt(rule, ["when"]);
    if (typeof when === "string" && matchesAll(when)) all ??= `rules[${index}]`;
    findings.push(
      ...(valueAt(rule, ["archive"]) === false ? deleteOnly(rule, at) : ruleAges(file, rule, at)),
    );
  }
  return findings;
}

function deleteOnly(rule: object, at: (key: string) => Path): Finding[] {
  return (["warm", "cold"] as const)
    .filter((tier) => Object.hasOwn(rule, tier))
    .map((tier) => ({
      path: at(tier),
      at: "key",
      problem: `with archive: false there is no ${tier} tier, as rows are deleted without being archived`,
      hint: `Remove ${tier}, or archive: false`,
    }));
}

function ruleAges(file: unknown, rule: object, at: (key: string) => Path): Finding[] {
  const isOwn = (tier: Tier) => Object.hasOwn(rule, tier);
  const ageOf = (tier: Tier): Age =>
    isOwn(tier)
      ? { path: at(tier), keep: keepAt(rule, [tier], tier), label: `${tier} of this rule` }
      : ageOfTier(file, tier);
  const findings: Finding[] = [];
  if (isOwn("cold") && !isMapping(valueAt(file, ["tiers", "cold"]))) {
    const hint = "Add tiers.cold, or remove cold here";
    findings.push({ path: at("cold"), at: "key", problem: "there is no tiers.cold to override", hint });
  }
  for (const [younger, older] of [
    ["hot", "warm"],
    ["warm", "cold"],
  ] as const) {
    if (!isOwn(younger) && !isOwn(older)) continue; // tiers has the finding already
    findings.push(...outOfOrder(ageOf(younger), ageOf(older), isOwn(older) ? "older" : "younger"));
  }
  return findings;
}

function archiveFindings(file: unknown): Finding[] {
  const url = valueAt(file, ["archive", "url"]);
  if (typeof url !== "string") return [];
  return url.startsWith("file:") ? fileFindings(file) : storeFindings(file);
}

/** What only a bucket has. */
function fileFindings(file: unknown): Finding[] {
  const paths: Path[] = [
    ["archive", "region"],
    ["archive", "endpoint"],
    ["archive", "owner"],
    ["archive", "lock"],
    ["archive", "encryption"],
    ["tiers", "cold", "vault"],
    ["tiers", "cold", "transition"],
  ];
  return paths
    .filter((path) => valueAt(file, path) !== undefined)
    .map((path) => ({
      path,
      at: "key",
      problem: "has no meaning for an archive of files",
      hint: "Remove it, or write an s3:// URL",
    }));
}

function storeFindings(file: unknown): Finding[] {
  const findings: Finding[] = [];
  const add = (path: Path, problem: string, hint: string): void => {
    if (valueAt(file, path) !== undefined) findings.push({ path, at: "key", problem, hint });
  };
  const transition: Path = ["tiers", "cold", "transition"];
  const vault: Path = ["tiers", "cold", "vault"];
  const hasLock = isMapping(valueAt(file, ["archive", "lock"]));
  const hasVault = valueAt(file, vault) !== undefined;
  if (hasVault) {
    const hint = "Name either a vault or a storageClass";
    add(["tiers", "cold", "storageClass"], "an object is either in a class or in a vault", hint);
    if (valueAt(file, transition) === "lifecycle") {
      add(transition, "no rule of a bucket moves objects to a vault", "Remove it, or write copy");
    }
  }
  // The object that was moved from could not be removed, and would be paid for twice until its lock ends.
  const locked = "an object that is locked cannot be removed after it was";
  if (hasLock && hasVault)
    add(vault, `${locked} moved to a vault`, "Remove archive.lock, or name a storageClass");
  else if (hasLock && valueAt(file, transition) === "copy") {
    add(transition, `${locked} copied`, "Write lifecycle: a rule of the bucket moves locked objects too");
  }
  if (valueAt(file, ["archive", "encryption", "mode"]) === "SSE-S3") {
    add(["archive", "encryption", "key"], "SSE-S3 has no key of yours", "Remove it, or write mode: SSE-KMS");
  }
  return [...findings, ...lockFindings(file)];
}

/** An object that expires before its lock ends would stay, and so would its rows. */
function lockFindings(file: unknown): Finding[] {
  const path: Path = ["archive", "lock", "keep"];
  const text = valueAt(file, path);
  const reading = typeof text === "string" ? readKeep(text) : null;
  if (!reading?.ok) return [];
  const rules = valueAt(file, ["rules"]);
  const ages = [
    { keep: keepAt(file, TIERS.cold, "cold"), label: TIERS.cold.join(".") },
    ...(Array.isArray(rules) ? rules : []).map((rule: unknown, index) => ({
      keep: isMapping(rule) ? keepAt(rule, ["cold"], "cold") : undefined,
      label: `rules[${index}].cold`,
    })),
  ];
  const shortest = ages.find(({ keep }) => typeof keep === "number" && keep < reading.value);
  if (shortest === undefined) return [];
  const found = `found ${formatKeep(reading.value)}, and ${shortest.label} is ${formatKeep(shortest.keep as number)}`;
  return [
    {
      path,
      at: "value",
      problem: `records would expire while their objects are locked (${found})`,
      hint: `Write ${formatKeep(shortest.keep as number)} or less here, or let them expire later`,
    },
  ];
}

/** A list of columns names each of them once. */
function columnFindings(file: unknown, list: Path, name: string): Finding[] {
  const columns = valueAt(file, list);
  if (!Array.isArray(columns)) return [];
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const [index, column] of columns.entries()) {
    const reading = typeof column === "string" ? readColumn(column) : null;
    if (!reading?.ok) continue;
    if (seen.has(reading.value)) {
      const problem = `this column stands in the ${name} twice`;
      findings.push({ path: [...list, index], at: "value", problem, hint: "Remove one of them" });
    }
    seen.add(reading.value);
  }
  return findings;
}
