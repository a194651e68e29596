/** firnline plan */
import { AS_OF_OPTION, readAsOf } from "../as-of.ts";
import { type Command, EXIT } from "../command.ts";
import { FOLDER_OPTION, openPipeline, readPolicies } from "../pipelines.ts";
import { planJson, planText } from "../plan-text.ts";

export const plan: Command = {
  name: "plan",
  arguments: "[PIPELINE ...]",
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
  },
  async run(context) {
    for (const policy of await readPolicies(context)) {
      await using pipeline = openPipeline(context, policy);
      const found = await pipeline.plan({
        ...readAsOf(context),
        backfill: context.options["backfill"] === true,
      });
      const lines = context.json
        ? planJson(policy.pipeline, found)
        : planText(policy.pipeline, found, context.options["all"] === true);
      for (const line of lines) context.print(line);
    }
    return EXIT.done;
  },
};
