/** firnline status */
import { formatInstant } from "../../rows/day.ts";
import { AS_OF_OPTION, readAsOf } from "../as-of.ts";
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../format.ts";
import { FOLDER_OPTION, openPipeline, readPolicies } from "../pipelines.ts";
import { overdueDays, statusText, tiersOf } from "../status-text.ts";

export const status: Command = {
  name: "status",
  arguments: "[PIPELINE ...]",
  summary: "show tiers, table size, overdue days, last runs and leftovers",
  examples: ["firnline status", "firnline status audit-logs --json"],
  options: { folder: FOLDER_OPTION, "as-of": AS_OF_OPTION },
  async run(context) {
    for (const policy of await readPolicies(context)) {
      await using pipeline = openPipeline(context, policy);
      const found = await pipeline.status(readAsOf(context));
      if (context.json) {
        const runs = found.runs.map((run) => ({ ...run, asOf: formatInstant(run.asOf) }));
        const { leftovers, bytes: tableBytes } = found.census;
        const tiers = tiersOf(found);
        const { pipeline: name, table } = found;
        context.print(
          jsonLine({
            pipeline: name,
            table,
            tableBytes,
            tiers,
            overdueDays: overdueDays(found),
            leftovers,
            runs,
          }),
        );
      } else for (const line of statusText(found)) context.print(line);
    }
    return EXIT.done;
  },
};
