/** How a bucket's findings and advice are worded. */
import { FirnlineError } from "../../errors.ts";
import type { Advice } from "../../plan/advice.ts";
import type { Where } from "../refusals.ts";

export function finding(
  { op, key }: Where,
  problem: string,
  hint: string,
  fix: readonly string[],
): FirnlineError {
  return new FirnlineError({ code: "E_BUCKET", subject: key, problem, hint, fix, op, key });
}

export function adviceOf(subject: string, problem: string, hint: string): Advice {
  return { code: "A_BUCKET", subject, problem, hint, fix: [] };
}
