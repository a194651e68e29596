/** What a person asks for, as instants. Bare dates are UTC days and `--to` includes its day. Pure. */
import { FirnlineError } from "../errors.ts";
import { addDays, dayStart, type EpochMicros, formatInstant, parseDay, parseInstant } from "../rows/day.ts";

export interface Filter {
  readonly column: string;
  readonly value: string;
}

export interface RangeRequest {
  /** First instant that is in. */
  readonly from: EpochMicros;
  /** First instant that is not in any more. */
  readonly to: EpochMicros;
  readonly where: readonly Filter[];
}

const BARE_DATE = /^\d{4}-\d{2}-\d{2}$/;
const FILTERS_MAX = 32;

/**
 * `from` and `to` are UTC days (`2024-03-31`; `to` includes it) or instants (`2024-03-31T12:00:00Z`; `to` excludes it),
 * each of `where` is `column=value`. Throws `E_INPUT`.
 */
export function parseRange(from: string, to: string, where: readonly string[] = []): RangeRequest {
  const first = BARE_DATE.test(from) ? dayStart(parseDay(from, "--from")) : parseInstant(from, "--from");
  const end = BARE_DATE.test(to) ? dayStart(addDays(parseDay(to, "--to"), 1)) : parseInstant(to, "--to");
  if (first >= end) {
    throw new FirnlineError({
      code: "E_INPUT",
      subject: "--from, --to",
      problem: `the range is empty or reversed (${formatInstant(first)} up to ${formatInstant(end)})`,
      hint: "Put the earlier date into --from",
    });
  }
  if (where.length > FILTERS_MAX) {
    throw new FirnlineError({
      code: "E_INPUT",
      subject: "--where",
      problem: `${where.length} filters, at most ${FILTERS_MAX} are taken`,
      hint: "Retrieve more and filter afterwards",
    });
  }
  return { from: first, to: end, where: where.map(parseFilter) };
}

function parseFilter(text: string): Filter {
  const at = text.indexOf("=");
  if (at > 0) return { column: text.slice(0, at), value: text.slice(at + 1) };
  throw new FirnlineError({
    code: "E_INPUT",
    subject: "--where",
    problem: `"${text}" is not column=value`,
    hint: "Write it like --where action=login",
  });
}
