/** firnline plan */
import { readPrices } from "../../price-file.ts";
import { AS_OF_OPTION, readAsOf } from "../arguments.ts";
import { type Command, EXIT, textOption } from "../command.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { planJson, planText } from "../plan-text.ts";

export const plan: Command = {
  name: "plan",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: false,
  summary: "print what a run would do, why, and what it comes to; touches nothing",
  details:
    "Money is estimated with S3's list prices, or with yours: a JSON file with those that differ, such as\n" +
    '{ "hot": { "perGbMonth": 0.115 } }, named by --prices or FIRNLINE_PRICES. A folder costs nothing\n' +
    "unless you say so.",
  examples: [
    "firnline plan",
    "firnline plan audit-logs --as-of 2027-01-01",
    "firnline plan --prices eu-central-1.json",
    "firnline plan --json | jq .step",
  ],
  options: {
    folder: FOLDER_OPTION,
    "as-of": { ...AS_OF_OPTION, help: "look ahead: count ages from this UTC day or instant (now)" },
    all: { type: "boolean", help: "list every step, however many" },
    prices: { type: "string", value: "FILE", help: "prices that differ from S3's list (FIRNLINE_PRICES)" },
    backfill: { type: "boolean", help: "allow a first run over many days" },
    "confirm-sooner": { type: "boolean", help: "allow deleting sooner than the last applied policy" },
    "retry-quarantined": { type: "boolean", help: "export rows anew that changed again and again" },
  },
  async run(context) {
    const asOf = readAsOf(context);
    const all = context.options["all"] === true;
    const file = textOption(context, "prices") ?? context.settings.prices;
    // Once, and before anything is connected: a bad file is one error, not one a pipeline.
    const prices = file === null ? {} : { prices: await readPrices(file) };
    return await eachPipeline(context, async (pipeline, { pipeline: name }) => {
      const { plan: found, estimate } = await pipeline.estimate({
        ...asOf,
        ...prices,
        backfill: context.options["backfill"] === true,
        confirmSooner: context.options["confirm-sooner"] === true,
        retryQuarantined: context.options["retry-quarantined"] === true,
      });
      for (const line of context.json
        ? planJson(name, found, estimate)
        : planText(name, found, all, estimate))
        context.print(line);
      return EXIT.done;
    });
  },
};
