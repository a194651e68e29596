/**
 * RFC 8785 JSON: one text for one value, so that it can be hashed. Members are sorted by their UTF-16 code units and
 * numbers are printed as ECMAScript prints them, which is what the RFC asks for. Totals and keys are decimal strings.
 */
import { invariant } from "../errors.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export function canonicalJson(value: Json): string {
  if (value === null || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "string") return canonicalString(value);
  if (typeof value === "number") {
    invariant(Number.isFinite(value), "canonical JSON", `${value} is not a JSON number`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(",")}]`;
  invariant(typeof value === "object", "canonical JSON", `a ${typeof value} is not a JSON value`);
  const members = value as { readonly [name: string]: Json };
  const names = Object.keys(members).sort(); // by UTF-16 code units, as the RFC wants
  return `{${names.map((name) => `${canonicalString(name)}:${canonicalJson(members[name] as Json)}`).join(",")}}`;
}

function canonicalString(text: string): string {
  invariant(text.isWellFormed(), "canonical JSON", "half of a surrogate pair is no character");
  return JSON.stringify(text);
}

const encoder = new TextEncoder();

export function canonicalBytes(value: Json): Uint8Array {
  return encoder.encode(canonicalJson(value));
}
