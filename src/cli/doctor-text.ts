/** A diagnosis for people and for machines. */
import type { Diagnosis } from "../doctor.ts";
import type { FirnlineError } from "../errors.ts";
import type { Advice } from "../plan/advice.ts";
import { jsonLine, plural } from "./format.ts";
import { errorFields, errorText } from "./report.ts";

type Told = FirnlineError | Advice;

/** Findings of all pipelines first, then what is only advice; each with what to paste on lines of its own. */
export function diagnosisText(diagnoses: readonly Diagnosis[], refused: readonly FirnlineError[]): string[] {
  const findings = diagnoses.flatMap((one) => one.findings.map((told) => ({ pipeline: one.pipeline, told })));
  const advice = diagnoses.flatMap((one) => one.advice.map((told) => ({ pipeline: one.pipeline, told })));
  const isOneOfMany = diagnoses.length > 1;
  const blocks = [
    refused.flatMap((told) => lines(told)),
    together(findings, isOneOfMany),
    together(advice, isOneOfMany),
    diagnoses.map((one) => summary(one, refused.length > 0)),
  ];
  return blocks
    .filter((block) => block.length > 0)
    .flatMap((block, at) => (at === 0 ? block : ["", ...block]));
}

export function diagnosisJson(diagnoses: readonly Diagnosis[], refused: readonly FirnlineError[]): string[] {
  return [
    ...refused.map((one) => jsonLine({ pipeline: null, finding: errorFields(one) })),
    ...diagnoses.flatMap(({ pipeline, findings }) =>
      findings.map((one) => jsonLine({ pipeline, finding: errorFields(one) })),
    ),
    ...diagnoses.flatMap(({ pipeline, advice }) => advice.map((one) => jsonLine({ pipeline, advice: one }))),
  ];
}

/** What is true of a server or a folder is found for each pipeline on it, and said once. */
function together(
  found: readonly { readonly pipeline: string; readonly told: Told }[],
  isOneOfMany: boolean,
): string[] {
  const groups = Map.groupBy(found, ({ told }) => lines(told).join("\n"));
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    return lines(first.told, group.length === 1 && isOneOfMany ? first.pipeline : undefined);
  });
}

/** Names may hold anything; on a terminal, and pasted into one, control characters are commands. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

function lines(told: Told, pipeline?: string): string[] {
  const about = pipeline === undefined ? undefined : { pipeline, isOneOfMany: true };
  const fix = told.fix.some((line) => CONTROL.test(line))
    ? ["-- not shown: a name in it has control characters; --json has it"]
    : told.fix;
  return [errorText(told, about), ...fix.map((line) => `    ${line}`)];
}

/** A policy that is refused stops a run of all pipelines, so the others' way is not clear either. */
function summary({ pipeline, findings, advice }: Diagnosis, isAnyRefused: boolean): string {
  const advised = advice.length === 0 ? "" : `, ${plural(advice.length, "piece")} of advice`;
  if (findings.length === 0) {
    return `${pipeline}: nothing ${isAnyRefused ? "else " : ""}is in the way of a run${advised}`;
  }
  const gone = findings.length === 1 ? "it is gone" : "they are gone";
  return `${pipeline}: ${plural(findings.length, "finding")}${advised}; a run is refused until ${gone}`;
}
