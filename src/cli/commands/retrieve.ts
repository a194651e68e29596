/** firnline retrieve */
import { FirnlineError, isFirnlineError } from "../../errors.ts";
import { shown } from "../../policy/readers/reading.ts";
import { type AnswerFormat, formatOfFile } from "../../retrieve/formats/answer-format.ts";
import { parseRange } from "../../retrieve/request.ts";
import type { RetrieveResult } from "../../retrieve/retrieve-range.ts";
import { formatInstant } from "../../rows/day.ts";
import { requiredOption, usageError } from "../arguments.ts";
import { type Command, type CommandContext, EXIT, listOption, textOption } from "../command.ts";
import { formatBytes, formatCount, jsonLine, plural } from "../format.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { requester } from "../requester.ts";
import { readTerms, RESTORE_OPTIONS } from "../restore-options.ts";
import { quoteJson, quoteText } from "../restore-text.ts";

export const retrieve: Command = {
  name: "retrieve",
  arguments: "PIPELINE --from DATE --to DATE --out FILE",
  operandsMax: 1,
  stopsInOrder: true,
  summary: "answer a date range, complete over hot, warm and cold, or refused with the reason",
  details:
    "A bare date is a UTC day, and --to includes it; an instant (2024-03-01T12:00:00Z) is exact, and\n" +
    "--to excludes it. The file gets its name only when it is complete. Nothing found: a file without\n" +
    'rows, and exit code 10. CSV: NULL is an empty cell, an empty text is "", and a text that a\n' +
    "spreadsheet would run as a formula gets a ' in front. Parquet refuses the few values that it\n" +
    "cannot hold, such as an infinite time.\n" +
    "Cold segments are restored first. What that costs and how long it takes is said before, and needs\n" +
    "--yes, --max-cost or an answer. Stopped while it waits, the same command joins what is under way.",
  examples: [
    "firnline retrieve audit-logs --from 2024-03-01 --to 2024-03-31 --out march.ndjson",
    "firnline retrieve audit-logs --from 2024-03-01 --to 2024-03-31 --where id=7 --out 7.csv",
  ],
  options: {
    folder: FOLDER_OPTION,
    from: { type: "string", value: "DATE", help: "first UTC day, or first instant" },
    to: { type: "string", value: "DATE", help: "last UTC day (included), or first instant that is out" },
    where: {
      type: "string",
      multiple: true,
      value: "COLUMN=VALUE",
      help: "only rows that have this value; may be repeated",
    },
    out: { type: "string", value: "FILE", help: "where the answer goes" },
    format: {
      type: "string",
      value: "FORMAT",
      help: "ndjson, csv or parquet (as FILE ends, else ndjson)",
    },
    ...RESTORE_OPTIONS,
    "csv-raw": { type: "boolean", help: "CSV for programs: texts as they are, formulas too" },
  },
  async run(context) {
    const isDryRun = context.options["dry-run"] === true;
    const out = isDryRun ? "" : requiredOption(context, SUBJECT, "out");
    const request = parseRange(
      requiredOption(context, SUBJECT, "from"),
      requiredOption(context, SUBJECT, "to"),
      listOption(context, "where"),
    );
    const format = readFormat(context, out);
    if (context.positionals.length !== 1) throw usageError(SUBJECT, "the PIPELINE is missing", SEE);
    return await eachPipeline(context, async (pipeline, policy) => {
      context.note(
        `range: ${formatInstant(request.from)} <= ${policy.source.time} < ${formatInstant(request.to)}`,
      );
      const { signal } = context;
      const asked = { requestedBy: requester(), restore: readTerms(context, policy), signal };
      if (isDryRun) {
        const { pipeline: name } = policy;
        const quote = await pipeline.quote(request, asked);
        for (const line of context.json ? [quoteJson(name, quote)] : quoteText(name, quote))
          context.print(line);
        return EXIT.done;
      }
      const result = await pipeline.retrieve(request, { ...asked, out, format }).catch((error: unknown) => {
        throw signal.aborted && isFirnlineError(error, "E_INTERRUPTED") ? stopped(out, error) : error;
      });
      const lines = context.json
        ? [jsonLine({ pipeline: policy.pipeline, retrieval: { ...result, out } })]
        : retrieveText(out, result);
      for (const line of lines) context.print(line);
      return result.rows === 0n ? EXIT.nothing : EXIT.done;
    });
  },
};

const SUBJECT = "firnline retrieve";
const SEE = `See \`${SUBJECT} --help\``;

const FORMATS = ["ndjson", "csv", "parquet"] as const;

function readFormat(context: CommandContext, out: string): AnswerFormat {
  const text = textOption(context, "format");
  const named = FORMATS.find((one) => one === text);
  if (text !== undefined && named === undefined) {
    throw usageError(
      "--format",
      `there is no such format (found ${shown(text)})`,
      "Use ndjson, csv or parquet",
    );
  }
  const format = named ?? formatOfFile(out);
  if (context.options["csv-raw"] !== true) return format;
  if (format === "csv") return "csv-raw";
  throw usageError(
    "--csv-raw",
    `it is for CSV, and the answer is ${format}`,
    "Add --format csv, or leave it away",
  );
}

function retrieveText(out: string, result: RetrieveResult): string[] {
  const { rows, bytes, expired, restored, conflicting, sha256, retrieval, evidence } = result;
  const { hot, warm, cold } = result.rowsFrom;
  const sources = `${formatCount(hot)} hot, ${formatCount(warm)} warm, ${formatCount(cold)} cold`;
  const nothing = `nothing matched, the file ${bytes === 0n ? "is empty" : "holds no row"}`;
  return [
    `${out}: ${rows === 0n ? nothing : `${plural(rows, "row")}, ${formatBytes(bytes)}; ${sources}`}` +
      (restored > 0 ? `; ${plural(restored, "cold segment")} restored` : ""),
    ...(conflicting > 0n
      ? [`${plural(conflicting, "row")} share a key with another row of other content; all are in the file`]
      : []),
    ...(expired > 0n
      ? [`${plural(expired, "row")} of these days expired by the policy before; the evidence says which days`]
      : []),
    "complete: the table was read for the whole range, and every archived chunk that was used was verified",
    `sha256 ${sha256}  retrieval ${retrieval}`,
    `evidence: ${evidence} says what it was made of`,
  ];
}

function stopped(out: string, cause: unknown): FirnlineError {
  return new FirnlineError({
    code: "E_INTERRUPTED",
    subject: "firnline retrieve",
    problem: `it was asked to stop, and did not write ${out}`,
    hint: "Run it again; what was asked for is restored meanwhile, and not asked for twice",
    cause,
  });
}
