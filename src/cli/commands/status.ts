/** firnline status */
import { AS_OF_OPTION, readAsOf } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { statusJson, statusText } from "../status-text.ts";

export const status: Command = {
  name: "status",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: false,
  summary: "show tiers, table size, overdue days, last runs and leftovers",
  examples: ["firnline status", "firnline status audit-logs --json"],
  options: { folder: FOLDER_OPTION, "as-of": AS_OF_OPTION },
  async run(context) {
    const asOf = readAsOf(context);
    return await eachPipeline(context, async (pipeline) => {
      const found = await pipeline.status(asOf);
      for (const line of context.json ? [statusJson(found)] : statusText(found)) context.print(line);
      return EXIT.done;
    });
  },
};
