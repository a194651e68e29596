/** Help texts, made from the commands' own descriptions. */
import type { Command, OptionSpec } from "./command.ts";

export function generalHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "firnline keeps a Postgres table small and its history readable: hot in Postgres, warm as Parquet, cold in Glacier.",
    "",
    "Usage: firnline COMMAND [PIPELINE ...] [options]",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "A PIPELINE is a policy file, or the name of one in the folder pipelines; without one, all of them are meant.",
    "`firnline COMMAND --help` explains a command.",
    "",
    "Exit codes: 0 done, 1 failed, 2 usage, 3 partly done, 10 nothing matched, 11 locked by another run,",
    "12 refused as unsafe, 130 interrupted.",
  ].join("\n");
}

export function commandHelp(command: Command, common: Readonly<Record<string, OptionSpec>>): string {
  const options = Object.entries({ ...command.options, ...common }).map(([name, { value, help }]) => ({
    left: `--${name}${value === undefined ? "" : ` ${value}`}`,
    help,
  }));
  const width = Math.max(...options.map(({ left }) => left.length));
  return [
    `firnline ${command.name}: ${command.summary}`,
    ...(command.details === undefined ? [] : ["", command.details]),
    "",
    `Usage: firnline ${command.name} ${command.arguments}`.trimEnd(),
    "",
    "Options:",
    ...options.map(({ left, help }) => `  ${left.padEnd(width)}  ${help}`),
    "",
    "Examples:",
    ...command.examples.map((example) => `  ${example}`),
  ].join("\n");
}
