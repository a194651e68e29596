/** firnline retrieve */
import { userInfo } from "node:os";
import { FirnlineError } from "../../errors.ts";
import { parseRange } from "../../retrieve/request.ts";
import { formatInstant } from "../../rows/day.ts";
import { type Command, type CommandContext, EXIT, listOption, textOption } from "../command.ts";
import { formatBytes, formatCount, jsonLine, plural } from "../format.ts";
import { FOLDER_OPTION, openPipeline, readPolicies } from "../pipelines.ts";

export const retrieve: Command = {
  name: "retrieve",
  arguments: "PIPELINE --from DATE --to DATE --out FILE",
  summary: "answer a date range completely, over hot, warm and cold, or refuse it with the reason",
  details:
    "A bare date is a UTC day, and --to includes it; an instant (2024-03-01T12:00:00Z) is exact and --to excludes it.\n" +
    "The file gets its name only when it is complete. Nothing found: an empty file and exit code 10.",
  examples: [
    "firnline retrieve audit-logs --from 2024-03-01 --to 2024-03-31 --out march.ndjson",
    "firnline retrieve audit-logs --from 2024-03-01 --to 2024-03-31 --where action=login --out logins.ndjson",
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
    format: { type: "string", value: "ndjson", help: "format of the answer (ndjson)" },
    out: { type: "string", value: "FILE", help: "where the answer goes" },
  },
  async run(context) {
    const out = required(context, "out");
    const request = parseRange(
      required(context, "from"),
      required(context, "to"),
      listOption(context, "where"),
    );
    const format = textOption(context, "format") ?? "ndjson";
    if (format !== "ndjson")
      throw usage(`--format ${format}`, "this version writes ndjson only", "Leave --format away");
    if (context.positionals.length !== 1)
      throw usage("firnline retrieve", "name exactly one pipeline", "See --help");
    const [policy] = await readPolicies(context);
    if (policy === undefined) throw usage("firnline retrieve", "there is no such pipeline", "See --help");
    await using pipeline = openPipeline(context, policy);
    context.note(
      `range: ${formatInstant(request.from)} <= ${policy.source.time} < ${formatInstant(request.to)}`,
    );
    const result = await pipeline.retrieve(request, {
      out,
      requestedBy: requester(),
      signal: context.signal,
    });
    if (context.json) context.print(jsonLine({ pipeline: policy.pipeline, retrieval: { ...result, out } }));
    else {
      const { hot, warm, cold } = result.rowsFrom;
      context.print(
        `${out}: ${plural(result.rows, "row")}, ${formatBytes(result.bytes)}; ` +
          `${formatCount(hot)} hot, ${formatCount(warm)} warm, ${formatCount(cold)} cold` +
          (result.restored > 0 ? `; ${plural(result.restored, "cold segment")} restored` : ""),
      );
      if (result.conflicting > 0n) {
        context.print(
          `${plural(result.conflicting, "row")} share a key with another row of other content; all are in`,
        );
      }
      context.print(
        `sha256 ${result.sha256}; every archived chunk was verified; retrieval ${result.retrieval}`,
      );
    }
    return result.rows === 0n ? EXIT.nothing : EXIT.done;
  },
};

function required(context: CommandContext, name: string): string {
  const value = textOption(context, name);
  if (value !== undefined && value !== "") return value;
  throw usage("firnline retrieve", `--${name} is missing`, "See `firnline retrieve --help`");
}

/** Who asked, for the audit of the audit: the operating system's user. */
function requester(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}

function usage(subject: string, problem: string, hint: string): FirnlineError {
  return new FirnlineError({ code: "E_INPUT", subject, problem, hint });
}
