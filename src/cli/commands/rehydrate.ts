/** firnline rehydrate */
import { parseRange } from "../../retrieve/request.ts";
import { requiredOption, usageError } from "../arguments.ts";
import { type Command, EXIT, textOption } from "../command.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { requester } from "../requester.ts";
import { readTerms, RESTORE_OPTIONS } from "../restore-options.ts";
import { quoteJson, quoteText, rehydrateJson, rehydrateText } from "../restore-text.ts";

export const rehydrate: Command = {
  name: "rehydrate",
  arguments: "PIPELINE --from DATE --to DATE",
  operandsMax: 1,
  stopsInOrder: true,
  summary: "ask for readable copies of a range's cold segments, to retrieve it later",
  details:
    "So that they are there on Monday: it asks, and does not wait. What is under way or readable already\n" +
    "costs nothing again, unless --days says that it must stay longer. What it costs is said first, and\n" +
    "needs --yes, --max-cost or an answer.",
  examples: ["firnline rehydrate audit-logs --from 2019-01-01 --to 2019-12-31 --tier Bulk --max-cost 12.50"],
  options: {
    folder: FOLDER_OPTION,
    from: { type: "string", value: "DATE", help: "first UTC day, or first instant" },
    to: { type: "string", value: "DATE", help: "last UTC day (included), or first instant that is out" },
    ...RESTORE_OPTIONS,
  },
  async run(context) {
    if (context.positionals.length !== 1) {
      throw usageError("firnline rehydrate", "the PIPELINE is missing", "See `firnline rehydrate --help`");
    }
    const range = parseRange(
      requiredOption(context, "firnline rehydrate", "from"),
      requiredOption(context, "firnline rehydrate", "to"),
    );
    return await eachPipeline(context, async (pipeline, policy) => {
      const { pipeline: name } = policy;
      const terms = { ...readTerms(context, policy), lengthen: textOption(context, "days") !== undefined };
      const options = { requestedBy: requester(), restore: terms, signal: context.signal };
      if (context.options["dry-run"] === true) {
        const quote = await pipeline.quote(range, options);
        for (const line of context.json ? [quoteJson(name, quote)] : quoteText(name, quote))
          context.print(line);
        return EXIT.done;
      }
      const result = await pipeline.rehydrate(range, options);
      for (const line of context.json ? [rehydrateJson(name, result)] : rehydrateText(name, result)) {
        context.print(line);
      }
      return EXIT.done;
    });
  },
};
