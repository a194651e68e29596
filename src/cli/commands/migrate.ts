/** firnline migrate */
import { readConnection } from "../../config.ts";
import { migrateDatabase } from "../../wiring.ts";
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../format.ts";
import { FOLDER_OPTION, readPolicies } from "../pipelines.ts";

export const migrate: Command = {
  name: "migrate",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: false,
  summary: "create or update the control schema `firnline` in the source databases",
  details: "Safe to run at any time and from many places at once. Your own tables are not touched.",
  examples: ["firnline migrate", "firnline migrate audit-logs"],
  options: { folder: FOLDER_OPTION },
  async run(context) {
    const variables = new Set((await readPolicies(context)).map(({ source }) => source.connectionVariable));
    for (const variable of variables) {
      const applied = await migrateDatabase(readConnection(context.environ, variable), context.settings);
      const done = applied.length === 0 ? "up to date" : `applied ${applied.join(", ")}`;
      context.print(context.json ? jsonLine({ connection: variable, applied }) : `${variable}: ${done}`);
    }
    return EXIT.done;
  },
};
