/** How a person says what a restore of cold segments may cost: options of `retrieve` and `rehydrate`. */
import { RESTORE_DAYS_MAX } from "../archive/object-state.ts";
import type { Policy } from "../policy/policy.ts";
import { shown } from "../policy/readers/reading.ts";
import { COPY_DAYS_DEFAULT, type RestoreAllowance, type RestoreTerms } from "../retrieve/restore-quote.ts";
import { usageError } from "./arguments.ts";
import { type CommandContext, type OptionSpec, textOption } from "./command.ts";
import { quoteText, sumText } from "./restore-text.ts";

export const RESTORE_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  tier: { type: "string", value: "TIER", help: "Standard, Expedited (fast, dear) or Bulk (slow, cheap)" },
  days: { type: "string", value: "N", help: `days that restored copies stay (${COPY_DAYS_DEFAULT})` },
  yes: { type: "boolean", help: "restore cold segments, whatever it costs" },
  "max-cost": {
    type: "string",
    value: "SUM",
    help: "restore if it costs no more, in the price list's currency: 12.50",
  },
  "dry-run": { type: "boolean", help: "say what would be restored, its cost and time; asks for nothing" },
};

const TIERS = ["Standard", "Expedited", "Bulk"] as const;
const BILLIONTH_DIGITS = 9;

/** Without --yes and --max-cost a terminal asks, and everything else refuses. Throws `E_INPUT`. */
export function readTerms(context: CommandContext, { pipeline }: Policy): RestoreTerms {
  const onQuote: RestoreTerms["onQuote"] = (quote) => {
    for (const line of quoteText(pipeline, quote)) context.note(line);
  };
  const allow = readAllowance(context, pipeline);
  return {
    onQuote,
    tier: readTier(context),
    days: readDays(context),
    ...(allow === undefined ? {} : { allow }),
  };
}

function readTier(context: CommandContext): (typeof TIERS)[number] {
  const text = textOption(context, "tier");
  if (text === undefined) return "Standard";
  const tier = TIERS.find((one) => one.toLowerCase() === text.toLowerCase());
  if (tier !== undefined) return tier;
  throw usageError("--tier", `there is no such tier (found ${shown(text)})`, `Use ${TIERS.join(", ")}`);
}

function readDays(context: CommandContext): number {
  const text = textOption(context, "days");
  if (text === undefined) return COPY_DAYS_DEFAULT;
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= RESTORE_DAYS_MAX) return days;
  throw usageError(
    "--days",
    `it is not a whole number of days (found ${shown(text)})`,
    `Write 1 to ${RESTORE_DAYS_MAX}`,
  );
}

function readAllowance(context: CommandContext, pipeline: string): RestoreAllowance | undefined {
  const text = textOption(context, "max-cost");
  const isAny = context.options["yes"] === true;
  if (text !== undefined) {
    if (isAny) throw usageError("--max-cost", "it has no meaning with --yes", "Leave one of them away");
    return { costMax: readMoney(text) };
  }
  if (isAny) return "any";
  const { ask } = context;
  if (ask === null) return undefined;
  return async (quote) => await ask(`${pipeline}: go on, ${sumText(quote)}?`);
}

function readMoney(text: string): bigint {
  const match = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) {
    throw usageError("--max-cost", `it is not an amount (found ${shown(text)})`, "Write it like 12.50");
  }
  const [, whole, part = ""] = match;
  return BigInt(`${whole}${part.padEnd(BILLIONTH_DIGITS, "0")}`);
}
