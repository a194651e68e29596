/** firnline restores */
import { type Command, EXIT } from "../command.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { restoreJson, restoresText } from "../restore-text.ts";

export const restores: Command = {
  name: "restores",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: true,
  summary: "list restored copies of cold segments: who asked, and when they are readable",
  details:
    "What is under way is looked at in the store first. A copy that is being made or can be read is never\n" +
    "asked for again: `retrieve` and `rehydrate` join it.",
  examples: ["firnline restores", "firnline restores audit-logs --all"],
  options: {
    folder: FOLDER_OPTION,
    all: { type: "boolean", help: "those that have ended, or failed, too" },
  },
  async run(context) {
    const all = context.options["all"] === true;
    return await eachPipeline(context, async (pipeline, { pipeline: name }) => {
      const found = await pipeline.restores({ all, signal: context.signal });
      const lines = context.json
        ? found.map((record) => restoreJson(name, record))
        : restoresText(name, found, all);
      for (const line of lines) context.print(line);
      return EXIT.done;
    });
  },
};
