/** firnline hold */
import type { Pipeline } from "../../pipeline.ts";
import { nearest } from "../../policy/findings.ts";
import { shown } from "../../policy/readers/reading.ts";
import { formatDay, parseDay } from "../../rows/day.ts";
import { usageError } from "../arguments.ts";
import { type Command, type CommandContext, EXIT, textOption } from "../command.ts";
import { jsonLine } from "../format.ts";
import { changedHoldText, holdFields, holdText } from "../hold-text.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { requester } from "../requester.ts";

const SEE = "See `firnline hold --help`";
const ACTIONS = ["add", "release", "list"] as const;
type Action = (typeof ACTIONS)[number];

export const hold: Command = {
  name: "hold",
  arguments: "add|release|list PIPELINE [HOLD]",
  operandsMax: 3,
  stopsInOrder: true,
  summary: "keep days from being removed, whatever the policy says",
  details:
    "`hold add` is in force at once, even while a run is at it: no segment that has one of these days\n" +
    "expires or is collected, and no row of a delete-only rule is deleted. Rows go on to move from tier\n" +
    "to tier. Where the bucket has Object Lock, the objects get a legal hold too. `hold release` ends it;\n" +
    "HOLD is an id from `hold list`, or its first characters. The journal keeps both for good, with who\n" +
    "and why.",
  examples: [
    "firnline hold add audit-logs --from 2024-01-01 --to 2024-03-31 --reason case-17",
    "firnline hold list audit-logs --all",
    "firnline hold release audit-logs 0d5cf1a2 --reason settled --by jane",
  ],
  options: {
    folder: FOLDER_OPTION,
    from: { type: "string", value: "DATE", help: "add: first UTC day" },
    to: { type: "string", value: "DATE", help: "add: last UTC day, included" },
    reason: { type: "string", value: "TEXT", help: "add, release: why, in one line" },
    by: { type: "string", value: "NAME", help: "add, release: who says so (this system's user)" },
    all: { type: "boolean", help: "list: released ones too" },
  },
  async run(context) {
    const action = readAction(context.positionals[0]);
    const [, name, id] = context.positionals;
    requireOptions(context, action);
    if (name === undefined) throw usageError(`firnline hold ${action}`, "the PIPELINE is missing", SEE);
    if (action !== "release" && id !== undefined) {
      throw usageError(`firnline hold ${action}`, `it takes one PIPELINE only (found ${shown(id)})`, SEE);
    }
    if (action === "release" && id === undefined) {
      throw usageError("firnline hold release", "the HOLD is missing", "`firnline hold list` shows them");
    }
    const work = WORK[action](context, id ?? "");
    return await eachPipeline({ ...context, positionals: [name] }, async (pipeline, policy) => {
      for (const line of await work(pipeline, policy.pipeline)) context.print(line);
      return EXIT.done;
    });
  },
};

/** Reads what the action needs before anything is connected; what it gives does it, and tells it in lines. */
type Work = (context: CommandContext, id: string) => (pipeline: Pipeline, name: string) => Promise<string[]>;

const WORK: Readonly<Record<Action, Work>> = {
  add(context) {
    const dayFrom = parseDay(required(context, "add", "from"), "--from");
    const dayTo = parseDay(required(context, "add", "to"), "--to");
    if (dayTo < dayFrom) {
      const problem = `the range ends before it begins (found ${formatDay(dayFrom)} .. ${formatDay(dayTo)})`;
      throw usageError("--to", problem, "Both days are included");
    }
    const reason = required(context, "add", "reason");
    const placedBy = textOption(context, "by") ?? requester();
    return async ({ holds }, name) => {
      const changed = await holds.place({ dayFrom, dayTo, reason, placedBy }, context.signal);
      const { hold: placed, ...rest } = changed;
      return context.json
        ? [jsonLine({ pipeline: name, hold: holdFields(placed), ...rest })]
        : changedHoldText(name, changed);
    };
  },
  release(context, id) {
    const reason = required(context, "release", "reason");
    const releasedBy = textOption(context, "by") ?? requester();
    return async ({ holds }, name) => {
      const changed = await holds.release({ hold: id, reason, releasedBy }, context.signal);
      const { hold: ended, legalHolds } = changed;
      return context.json
        ? [jsonLine({ pipeline: name, hold: holdFields(ended), legalHolds })]
        : changedHoldText(name, changed);
    };
  },
  list(context) {
    const all = context.options["all"] === true;
    return async ({ holds }, name) => {
      const found = await holds.list({ all });
      if (context.json) return found.map((one) => jsonLine({ pipeline: name, hold: holdFields(one) }));
      if (found.length === 0) return [`${name}: no hold ${all ? "was ever placed" : "is in force"}`];
      return found.map((one) => `${name}: ${holdText(one)}`);
    };
  },
};

function readAction(text: string | undefined): Action {
  const action = ACTIONS.find((one) => one === text);
  if (action !== undefined) return action;
  if (text === undefined) throw usageError("firnline hold", "the action is missing", SEE);
  const near = nearest(text, [...ACTIONS]);
  const hint = near === null ? SEE : `Did you mean ${near}? ${SEE}`;
  throw usageError("firnline hold", `there is no such action (found ${shown(text)})`, hint);
}

const OPTIONS_OF: Readonly<Record<Action, readonly string[]>> = {
  add: ["from", "to", "reason", "by"],
  release: ["reason", "by"],
  list: ["all"],
};

/** An option that an action does not heed may be a mistake about which days are held. */
function requireOptions({ options }: CommandContext, action: Action): void {
  const others = ["from", "to", "reason", "by", "all"].filter((name) => !OPTIONS_OF[action].includes(name));
  const extra = others.find((name) => options[name] !== undefined);
  if (extra === undefined) return;
  throw usageError(`--${extra}`, `it says nothing to \`hold ${action}\``, "Leave it away");
}

function required(context: CommandContext, action: Action, name: string): string {
  const value = textOption(context, name);
  if (value !== undefined && value.trim() !== "") return value;
  throw usageError(`firnline hold ${action}`, `--${name} is missing`, SEE);
}
