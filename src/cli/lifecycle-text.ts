/** What `lifecycle check` and `lifecycle apply` tell, for people and for machines. */
import type { AppliedRules } from "../archive/bucket-rules.ts";
import type { ForeignEffect, LifecycleDrift, RuleDrift } from "../plan/lifecycle-drift.ts";
import { jsonLine, plural } from "./format.ts";

export function checkText(url: string, drift: LifecycleDrift): string[] {
  const { foreign, others, right, rules } = drift;
  const wrong = rules.length + foreign.length;
  const state = wrong === 0 ? "the lifecycle rules are as the policies say" : plural(wrong, "finding");
  return [
    ...rules.flatMap((one) => driftText(one, "is")),
    ...foreign.map(foreignText),
    `${url}: ${state}; ${right} of ours ${right === 1 ? "is" : "are"} right, ${others} of others`,
  ];
}

export function applyText(url: string, { drift, isWritten }: AppliedRules): string[] {
  const { foreign, others, rules } = drift;
  const untouched = `${plural(others, "rule")} of others ${others === 1 ? "stays as it is" : "stay as they are"}`;
  const last =
    rules.length === 0
      ? `${url}: nothing to write; the lifecycle rules are as the policies say`
      : isWritten
        ? `${url}: written, and read back; ${untouched}`
        : `${url}: nothing was written; --yes writes it, and ${untouched}`;
  return [
    ...rules.flatMap((one) => driftText(one, isWritten ? "was" : "is")),
    ...foreign.map(foreignText),
    last,
  ];
}

export function driftJson(url: string, drift: LifecycleDrift): string[] {
  return [...drift.rules, ...drift.foreign.map((one) => ({ kind: "foreign", ...one }))].map((finding) =>
    jsonLine({ bucket: url, finding }),
  );
}

export function checkJson(url: string, drift: LifecycleDrift): string[] {
  const { foreign, others, right, rules } = drift;
  const findings = rules.length + foreign.length;
  return [...driftJson(url, drift), jsonLine({ bucket: url, check: { findings, right, others } })];
}

export function applyJson(url: string, { drift, isWritten }: AppliedRules): string[] {
  const { foreign, others, rules } = drift;
  const apply = { changes: rules.length, isWritten, foreign: foreign.length, others };
  return [...driftJson(url, drift), jsonLine({ bucket: url, apply })];
}

function driftText(drift: RuleDrift, is: "is" | "was"): string[] {
  const { id, kind } = drift;
  if (kind === "missing") return [`missing    ${id}`];
  if (kind === "needless") return [`needless   ${id}: no policy wants it any more`];
  return drift.fields.map(
    ({ field, found, expected }) =>
      `different  ${id}: ${field} ${is} ${found ?? "not set"}, and should be ${expected ?? "not set"}`,
  );
}

function foreignText({ id, prefix, effect }: ForeignEffect): string {
  const what = prefix === "" ? "all of the bucket" : prefix;
  return `foreign    ${id}: ${effect}, ${what} among them`;
}
