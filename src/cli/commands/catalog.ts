/** firnline catalog rebuild */
import { nearest } from "../../policy/findings.ts";
import { shown } from "../../policy/readers/reading.ts";
import { usageError } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../format.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { rebuildText } from "../repair-text.ts";

const SEE = "See `firnline catalog --help`";

export const catalog: Command = {
  name: "catalog",
  arguments: "rebuild PIPELINE",
  operandsMax: 2,
  stopsInOrder: true,
  summary: "`catalog rebuild` writes the catalog anew from the archive alone",
  details:
    "For a control schema that was lost (run `firnline migrate` first), and for a database that was\n" +
    "restored from a backup: both make `firnline run` stop with E_OWNER. Touches no row, and nothing in\n" +
    "the archive. Where rows are that only the lost catalog knew of, the next run finds out; until then\n" +
    "`firnline retrieve` reads both. An archive that belongs to another database takes `firnline adopt`.",
  examples: ["firnline catalog rebuild audit-logs", "firnline catalog rebuild audit-logs --yes"],
  options: {
    folder: FOLDER_OPTION,
    yes: { type: "boolean", help: "replace what the catalog holds" },
  },
  async run(context) {
    const [action, ...positionals] = context.positionals;
    if (action !== "rebuild") {
      const problem =
        action === undefined ? "the action is missing" : `there is no such action (found ${shown(action)})`;
      const near = action === undefined ? null : nearest(action, ["rebuild"]);
      throw usageError("firnline catalog", problem, near === null ? SEE : `Did you mean rebuild? ${SEE}`);
    }
    if (positionals.length !== 1)
      throw usageError("firnline catalog rebuild", "the PIPELINE is missing", SEE);
    return await eachPipeline({ ...context, positionals }, async (pipeline, { pipeline: name }) => {
      const { signal } = context;
      const result = await pipeline.rebuildCatalog({ isConfirmed: context.options["yes"] === true, signal });
      const lines = context.json
        ? [jsonLine({ pipeline: name, rebuild: result })]
        : rebuildText(name, result);
      for (const line of lines) context.print(line);
      return EXIT.done;
    });
  },
};
