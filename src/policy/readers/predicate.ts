/**
 * The text of a rule's `when`. Postgres decides whether it is a legal predicate; here it is only made sure
 * that the text is *closed*: put between parentheses it stays between them. `a = 1) OR (true` would pass as
 * an index predicate and then bind in another way inside of `(r1) IS NOT TRUE AND (r2) IS TRUE`.
 *
 * Source: PostgreSQL manual 4.1, "Lexical Structure" (standard_conforming_strings = on).
 */
import { read, refuse, type Reading } from "./reading.ts";

const NAME = "[A-Za-z_\\u0080-\\uffff][\\w\\u0080-\\uffff]*";
// Without `(?!')` a constant that is not closed could be given up half-way and read as two.
const ESCAPED = "'(?:[^'\\\\]|\\\\[\\s\\S]|'')*'(?!')";
const NEXT_LINE = "[ \\t\\f\\v]*[\\r\\n]\\s*";
/** In this order: whole constants, what opens without closing, names, single characters. */
const TOKEN = new RegExp(
  [
    // A constant goes on after a line break, in the same mode.
    `[eE]${ESCAPED}(?:${NEXT_LINE}${ESCAPED})*(?!${NEXT_LINE}')`,
    "'(?:[^']|'')*'(?!')",
    '"(?:[^"]|"")*"(?!")',
    `\\$(?<tag>(?:${NAME})?)\\$[\\s\\S]*?\\$\\k<tag>\\$`,
    `(?<open>[eE]?'|"|\\$(?:${NAME})?\\$)`,
    "[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*",
    "(?<comment>--|/\\*)",
    "(?<mark>[()[\\];])",
    "[\\s\\S]",
  ].join("|"),
  "gu",
);

const CLOSES: Readonly<Record<string, string>> = { ")": "(", "]": "[" };

/** Reads a predicate: trimmed, not empty, without comments and semicolons, all brackets and quotes closed. */
export function readPredicate(text: string): Reading<string> {
  const predicate = text.trim();
  if (predicate === "") return refuse("the predicate is empty");
  if (predicate.includes("\0")) return refuse("the predicate holds a NUL character");
  const open: string[] = [];
  for (const { groups } of predicate.matchAll(TOKEN)) {
    const mark = groups?.["mark"];
    if (groups?.["comment"] !== undefined) {
      return refuse("the predicate holds a comment", "Put the comment into the YAML, after a #");
    }
    if (groups?.["open"] !== undefined) return refuse("a quote of the predicate is not closed", "Close it");
    if (mark === ";") return refuse("the predicate holds a semicolon", "Write one boolean expression");
    if (mark === "(" || mark === "[") open.push(mark);
    else if (mark !== undefined && open.pop() !== CLOSES[mark]) {
      return refuse(`a ${mark} of the predicate closes nothing`, "Balance the brackets");
    }
  }
  if (open.length > 0)
    return refuse(`a ${open.at(-1)} of the predicate is not closed`, "Balance the brackets");
  return read(predicate);
}

/** True when a predicate visibly matches every row, so that no later rule can get one. */
export function matchesAll(predicate: string): boolean {
  return /^[\s(]*true[\s)]*$/i.test(predicate);
}
