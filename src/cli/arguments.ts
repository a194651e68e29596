/** Reads the command line of one command. What is wrong with it is said in our words, with the nearest option. */
import { parseArgs } from "node:util";
import { FirnlineError } from "../errors.ts";
import { nearest } from "../policy/findings.ts";
import { shown } from "../policy/readers/reading.ts";
import { dayStart, type EpochMicros, parseDay, parseInstant } from "../rows/day.ts";
import { type Command, type CommandContext, type OptionSpec, textOption } from "./command.ts";

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** Every command takes these. */
export const COMMON: OptionSpecs = {
  json: { type: "boolean", help: "JSON lines for machines" },
  debug: { type: "boolean", help: "print stack traces" },
  help: { type: "boolean", help: "print this help" },
};

export const AS_OF_OPTION: OptionSpec = {
  type: "string",
  value: "DATE",
  help: "count ages from this UTC day or instant (now)",
};

export function usageError(subject: string, problem: string, hint: string): FirnlineError {
  return new FirnlineError({ code: "E_INPUT", subject, problem, hint });
}

/** Throws `E_INPUT` for anything that the command does not take. */
export function readArguments(
  command: Command,
  args: readonly string[],
): Pick<CommandContext, "positionals" | "options"> {
  const specs: OptionSpecs = { ...command.options, ...COMMON };
  const { positionals, values, tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(specs).map(([name, { type, multiple }]) => [
        name,
        { type, multiple: multiple ?? false, ...(name === "help" ? { short: "h" } : {}) },
      ]),
    ),
    allowPositionals: true,
    // Its own messages are hard to read, and differ between versions of Node.
    strict: false,
    tokens: true,
  });
  const see = `See \`firnline ${command.name} --help\``;
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const problem = optionProblem(specs, token, seen);
    if (problem !== null) {
      const near = Object.hasOwn(specs, token.name) ? null : nearest(token.name, Object.keys(specs));
      const hint = near === null ? see : `Did you mean --${near}? ${see}`;
      throw usageError(`firnline ${command.name}`, problem, hint);
    }
    seen.add(token.name);
  }
  if (positionals.length > command.operandsMax) {
    const extra = shown(positionals[command.operandsMax] as string);
    const takes = command.operandsMax === 0 ? "it takes no names" : "it takes one PIPELINE only";
    throw usageError(`firnline ${command.name}`, `${takes} (found ${extra})`, see);
  }
  return { positionals, options: values as CommandContext["options"] };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function optionProblem(
  specs: OptionSpecs,
  { name, rawName, value, inlineValue }: OptionToken,
  seen: ReadonlySet<string>,
): string | null {
  const spec = Object.hasOwn(specs, name) ? (specs[name] as OptionSpec) : null;
  if (spec === null) return `there is no option ${/^[\w-]{1,40}$/.test(rawName) ? rawName : shown(rawName)}`;
  if (spec.type === "boolean") return value === undefined ? null : `${rawName} takes no value`;
  if (value === undefined) return `${rawName} ${spec.value} needs its value`;
  if (inlineValue !== true && /^-./.test(value)) {
    return `${rawName} ${spec.value} needs its value (found ${shown(value)}, which looks like an option)`;
  }
  return seen.has(name) && spec.multiple !== true ? `${rawName} is given more than once` : null;
}

/** Throws `E_INPUT` where it is missing or empty. */
export function requiredOption(context: CommandContext, subject: string, name: string): string {
  const value = textOption(context, name);
  if (value !== undefined && value !== "") return value;
  throw usageError(subject, `--${name} is missing`, `See \`${subject} --help\``);
}

/** The instant that ages are counted from. A bare date is the start of that UTC day. */
export function readAsOf(context: CommandContext): { asOf?: EpochMicros } {
  const text = textOption(context, "as-of");
  if (text === undefined) return {};
  return {
    asOf: /^\d{4}-\d{2}-\d{2}$/.test(text)
      ? dayStart(parseDay(text, "--as-of"))
      : parseInstant(text, "--as-of"),
  };
}
