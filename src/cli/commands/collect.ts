/** firnline collect */
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../format.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { collectText } from "../repair-text.ts";

export const collect: Command = {
  name: "collect",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: true,
  summary: "remove objects of the archive that nothing names any more",
  details:
    "Superseded segments, uploads that were given up, and what killed processes left behind. An object\n" +
    "goes when it was garbage in two listings, archive.recoveryWindow apart (14d), and no retrieval reads\n" +
    "it; so run it regularly, weekly say. Nothing is removed if an object is missing that must be there.",
  examples: ["firnline collect --dry-run", "firnline collect audit-logs"],
  options: {
    folder: FOLDER_OPTION,
    "dry-run": { type: "boolean", help: "say what would be removed; changes nothing" },
  },
  async run(context) {
    const isDryRun = context.options["dry-run"] === true;
    return await eachPipeline(context, async (pipeline, { pipeline: name }) => {
      const result = await pipeline.collect({ isDryRun, signal: context.signal });
      const lines = context.json
        ? [jsonLine({ pipeline: name, collect: { isDryRun, ...result } })]
        : collectText(name, result, isDryRun);
      for (const line of lines) context.print(line);
      return EXIT.done;
    });
  },
};
