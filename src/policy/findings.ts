/**
 * What is wrong with a policy file, in the words of its author: where, which field, what was found, what to
 * write. Issues of the schema become findings here, so that no message of a library and no value that may be
 * a secret gets through.
 */
import type { z } from "zod";

import { FirnlineError } from "../errors.ts";
import { noteOf } from "./notes.ts";
import { looksSecret, shown } from "./readers/reading.ts";
import { knownKeys } from "./schema.ts";

export type Path = readonly (string | number)[];

/** Both from 1; the column counts UTF-16 units, as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface Finding {
  readonly path: Path;
  /** Which of the two is wrong, the value or that the key is there at all. */
  readonly at: "key" | "value";
  readonly problem: string;
  readonly hint: string;
}

/** `E_POLICY pipelines/x.yaml:12:5 tiers.hot.keep: problem. Hint.` */
export function findingError(
  fileName: string,
  { line, column }: Place,
  path: Path,
  { problem, hint }: { readonly problem: string; readonly hint: string },
): FirnlineError {
  const field = formatPath(path);
  const subject = `${fileName}:${line}:${column}${field === "" ? "" : ` ${field}`}`;
  return new FirnlineError({ code: "E_POLICY", subject, problem, hint });
}

/** `rules[0].when`. A key that may be a secret itself, or would break the line, is withheld. */
function formatPath(path: Path): string {
  const formatStep = (step: string): string => {
    if (/^[A-Za-z_][A-Za-z_-]{0,40}$/.test(step)) return step;
    return /^[!-9;-~]{1,20}$/.test(step) && !looksSecret(step) ? JSON.stringify(step) : "(key not shown)";
  };
  return path
    .map((step, at) => (typeof step === "number" ? `[${step}]` : `${at === 0 ? "" : "."}${formatStep(step)}`))
    .join("");
}

/** `rules[].when`: the path as `notes.ts` and `knownKeys` name it. */
function fieldPathOf(path: Path): string {
  return path.map((step, at) => (typeof step === "number" ? "[]" : `${at === 0 ? "" : "."}${step}`)).join("");
}

/** Fields whose value is never repeated, whatever it looks like. */
const WITHHELD: ReadonlySet<string> = new Set(["source.connection", "archive.url", "archive.endpoint"]);

function describe(value: unknown, fieldPath: string): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (WITHHELD.has(fieldPath)) return "something else, not shown";
  return typeof value === "string" ? shown(value) : `the ${typeof value} ${String(value)}`;
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: "a text",
  array: "a list",
  object: "a mapping",
  boolean: "true or false",
};

/** The value at `path` of the file as written; undefined where there is none. */
export function valueAt(file: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined,
    file,
  );
}

/** The findings of one issue of the schema about the file as written (`file`). */
export function findingsOf(issue: z.core.$ZodIssue, file: unknown): Finding[] {
  const path = issue.path as Path;
  const fieldPath = fieldPathOf(path);
  const hint = noteOf(fieldPath)?.hint ?? "Compare it with schemas/pipeline.schema.json";
  const value = valueAt(file, path);
  const finding = (problem: string, own: string = hint): Finding[] => [
    { path, at: "value", problem, hint: own },
  ];

  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: [...path, key],
      at: "key",
      problem: "unknown key",
      hint: suggestion(key, knownKeys(fieldPath)),
    }));
  }
  if (value === undefined && path.length > 0) return finding("is missing");
  switch (issue.code) {
    case "custom":
      return finding(issue.message, (issue.params?.["hint"] as string | null | undefined) ?? hint);
    case "invalid_type":
      return finding(
        `expected ${EXPECTED[issue.expected] ?? issue.expected} (found ${describe(value, fieldPath)})`,
      );
    case "invalid_value": {
      const found = `(found ${describe(value, fieldPath)})`;
      if (issue.values.length === 1) return finding(`expected ${String(issue.values[0])} ${found}`);
      return finding(`expected one of ${issue.values.join(", ")} ${found}`);
    }
    case "too_small":
      return finding("the list is empty");
    case "too_big":
      return finding(
        `more than ${issue.maximum} entries (found ${Array.isArray(value) ? value.length : "more"})`,
      );
    default:
      return finding("not a legal value");
  }
}

const plainKey = (key: string): string => key.toLowerCase().replaceAll(/[^a-z0-9]/g, "");

/** Keys that people add to give credentials. */
const CREDENTIAL = /secret|passw|token|credential|access_?key|^user/i;

function suggestion(key: string, known: readonly string[]): string {
  if (CREDENTIAL.test(key)) return "Remove it: credentials come from the environment, never from this file";
  const here = known.length === 0 ? "" : `The keys here are ${known.join(", ")}`;
  const near = nearest(key, known);
  return near === null ? here || "Remove it" : `Did you mean ${near}? ${here}`;
}

/** The known key with the smallest edit distance, if it is near enough to be a slip of the fingers. */
export function nearest(key: string, known: readonly string[]): string | null {
  const plain = plainKey(key).slice(0, 64);
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(plain, plainKey(candidate)) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate ?? null;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const cell = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i += 1) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      (rows[i] as number[])[j] = Math.min(
        cell(i - 1, j) + 1,
        cell(i, j - 1) + 1,
        cell(i - 1, j - 1) + (same ? 0 : 1),
        swapped ? cell(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  }
  return cell(a.length, b.length);
}
