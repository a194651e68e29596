/** firnline verify */
import { randomInt } from "node:crypto";
import type { FirnlineError } from "../../errors.ts";
import { shown } from "../../policy/readers/reading.ts";
import { usageError } from "../arguments.ts";
import { type Command, type CommandContext, EXIT, textOption } from "../command.ts";
import { jsonLine } from "../format.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { verifyText } from "../repair-text.ts";
import { errorFields, errorText } from "../report.ts";

/** Seeds have 32 bits. */
const SEED_MAX = 4_294_967_295;
const SAMPLE_MAX = 1_000_000;

export const verify: Command = {
  name: "verify",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: true,
  summary: "compare archive, journal, catalog and table; touches nothing",
  details:
    "The journal's chain, the SHA-256 of every manifest, the presence and size of every object, the\n" +
    "catalog against the journal, and the rows that are still to be pruned against the table. --deep\n" +
    "reads every object and hashes every value, and looks whether pruned rows are in the table again.\n" +
    "Cold objects that need a restore first are counted as unverified. Exit code 1 with findings.",
  examples: ["firnline verify", "firnline verify audit-logs --deep", "firnline verify --sample 20 --json"],
  options: {
    folder: FOLDER_OPTION,
    deep: { type: "boolean", help: "read and hash every value of every segment" },
    sample: { type: "string", value: "N", help: "the same for N segments, picked by chance" },
    seed: { type: "string", value: "SEED", help: "pick the same segments as another --sample did" },
  },
  async run(context) {
    const isDeep = context.options["deep"] === true;
    const count = number(context, "sample", 1, SAMPLE_MAX);
    const given = number(context, "seed", 0, SEED_MAX);
    if (isDeep && count !== null)
      throw usageError("--sample", "--deep reads all segments", "Leave one of them away");
    if (count === null && given !== null) throw usageError("--seed", "it is for --sample", "Add --sample N");
    const seed = given ?? randomInt(0, SEED_MAX);
    return await eachPipeline(context, async (pipeline, { pipeline: name }) => {
      const result = await pipeline.verify({
        deep: count ?? isDeep,
        seed,
        onFinding: (finding) => context.print(told(context, name, finding)),
        signal: context.signal,
      });
      const sample = count === null ? null : { count, seed };
      const lines = context.json
        ? [jsonLine({ pipeline: name, verify: { ...result, ...(sample === null ? {} : { sample }) } })]
        : verifyText(name, result, { isDeep, sample });
      for (const line of lines) context.print(line);
      return result.findings > 0 ? EXIT.failed : EXIT.done;
    });
  },
};

const told = (context: CommandContext, pipeline: string, finding: FirnlineError): string =>
  context.json ? jsonLine({ pipeline, finding: errorFields(finding) }) : errorText(finding);

function number(context: CommandContext, name: string, min: number, max: number): number | null {
  const text = textOption(context, name);
  if (text === undefined) return null;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usageError(
    `--${name}`,
    `it is not a whole number from ${min} to ${max} (found ${shown(text)})`,
    "See `firnline verify --help`",
  );
}
