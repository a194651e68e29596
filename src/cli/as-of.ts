/** `--as-of`: the instant that ages are counted from. */
import { dayStart, type EpochMicros, parseDay, parseInstant } from "../rows/day.ts";
import { type CommandContext, type OptionSpec, textOption } from "./command.ts";

export const AS_OF_OPTION: OptionSpec = {
  type: "string",
  value: "DATE",
  help: "count ages from this UTC day or instant (now)",
};

export function readAsOf(context: CommandContext): { asOf?: EpochMicros } {
  const text = textOption(context, "as-of");
  if (text === undefined) return {};
  return {
    asOf: /^\d{4}-\d{2}-\d{2}$/.test(text)
      ? dayStart(parseDay(text, "--as-of"))
      : parseInstant(text, "--as-of"),
  };
}
