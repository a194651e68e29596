/** firnline status */
import { shown } from "../../policy/readers/reading.ts";
import { dayOf, microsFromMs } from "../../rows/day.ts";
import { systemClock } from "../../wiring.ts";
import { AS_OF_OPTION, readAsOf, usageError } from "../arguments.ts";
import { type Command, type CommandContext, EXIT, textOption } from "../command.ts";
import { historyText } from "../history-text.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { readsUtf8 } from "../sparkline.ts";
import { statusJson, statusText } from "../status-text.ts";

export const status: Command = {
  name: "status",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: false,
  summary: "show tiers, table size, overdue days, last runs and leftovers",
  examples: [
    "firnline status",
    "firnline status audit-logs --json",
    "firnline status audit-logs --history --days 90",
  ],
  options: {
    folder: FOLDER_OPTION,
    "as-of": AS_OF_OPTION,
    history: { type: "boolean", help: "what each day's runs moved, and the sizes of the tiers" },
    days: { type: "string", value: "N", help: "how many days of history, up to 400 (30)" },
  },
  async run(context) {
    const asOf = readAsOf(context);
    const days = readDays(context);
    return await eachPipeline(context, async (pipeline) => {
      const found = await pipeline.status({ ...asOf, ...(days === null ? {} : { historyDays: days }) });
      if (context.json) context.print(statusJson(found));
      else {
        const today = dayOf(microsFromMs(systemClock.now()));
        const utf8 = readsUtf8(context.environ);
        const drawn = days === null ? [] : historyText(found.history ?? [], { days, today, utf8 });
        for (const line of [...statusText(found), ...drawn]) context.print(line);
      }
      return EXIT.done;
    });
  },
};

const DAYS_DEFAULT = 30;
/** As many as the catalog keeps. */
const DAYS_MAX = 400;

/** Null: no history is asked for. */
function readDays(context: CommandContext): number | null {
  const text = textOption(context, "days");
  if (context.options["history"] !== true) {
    if (text === undefined) return null;
    throw usageError("--days", "it is for the history", "Add --history");
  }
  if (text === undefined) return DAYS_DEFAULT;
  const days = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= DAYS_MAX) return days;
  throw usageError(
    "--days",
    `it is not a number from 1 to ${DAYS_MAX} (found ${shown(text)})`,
    "Leave it away for 30",
  );
}
