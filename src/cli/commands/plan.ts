/** firnline plan */
import { AS_OF_OPTION, readAsOf } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { planJson, planText } from "../plan-text.ts";

export const plan: Command = {
  name: "plan",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: false,
  summary: "print what a run would do, and why; touches nothing",
  examples: [
    "firnline plan",
    "firnline plan audit-logs --as-of 2027-01-01",
    "firnline plan --json | jq .step",
  ],
  options: {
    folder: FOLDER_OPTION,
    "as-of": AS_OF_OPTION,
    all: { type: "boolean", help: "list every step, however many" },
    backfill: { type: "boolean", help: "allow a first run over many days" },
    "confirm-sooner": { type: "boolean", help: "allow deleting sooner than the last applied policy" },
  },
  async run(context) {
    const asOf = readAsOf(context);
    const all = context.options["all"] === true;
    return await eachPipeline(context, async (pipeline, { pipeline: name }) => {
      const found = await pipeline.plan({
        ...asOf,
        backfill: context.options["backfill"] === true,
        confirmSooner: context.options["confirm-sooner"] === true,
      });
      for (const line of context.json ? planJson(name, found) : planText(name, found, all))
        context.print(line);
      return EXIT.done;
    });
  },
};
