/** firnline adopt */
import { usageError } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../format.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { rebuildText } from "../repair-text.ts";

export const adopt: Command = {
  name: "adopt",
  arguments: "PIPELINE --yes",
  operandsMax: 1,
  stopsInOrder: true,
  summary: "make this database the owner of an archive, in the place of another one",
  details:
    "After a failover that lost something, for a restored copy, or for a clone that is to go on: the\n" +
    "catalog is rebuilt from the archive, and the journal says that the archive belongs to this database.\n" +
    "From then on the other one stops with E_OWNER, at its next step. Of two that adopt, one wins.",
  examples: ["firnline adopt audit-logs --yes"],
  options: {
    folder: FOLDER_OPTION,
    yes: { type: "boolean", help: "take it from whoever writes to it now" },
  },
  async run(context) {
    if (context.positionals.length !== 1) {
      throw usageError("firnline adopt", "the PIPELINE is missing", "See `firnline adopt --help`");
    }
    return await eachPipeline(context, async (pipeline, { pipeline: name }) => {
      const { signal } = context;
      const result = await pipeline.adopt({ isConfirmed: context.options["yes"] === true, signal });
      const lines = context.json ? [jsonLine({ pipeline: name, adopt: result })] : rebuildText(name, result);
      for (const line of lines) context.print(line);
      return EXIT.done;
    });
  },
};
