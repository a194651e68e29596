/** Help texts, made from the commands' own descriptions. They fit into 100 columns. */
import { COMMON } from "./arguments.ts";
import type { Command } from "./command.ts";

export function generalHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "firnline keeps a Postgres table small and its history readable: rows are hot in Postgres, then warm",
    "as Parquet, then cold in a Glacier class; a date range is answered from all three.",
    "",
    "Usage: firnline COMMAND [PIPELINE ...] [options]",
    "",
    "Commands:",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "A PIPELINE is a policy file, or the name of one in the folder `pipelines`; without one, all of them",
    "are meant. Connections and limits come from the environment. New here? Try `firnline demo`.",
    "`firnline COMMAND --help` explains a command; `firnline --version` names this version.",
    "",
    "Exit codes: 0 done, 1 failed, 2 usage, 3 partly done, 10 nothing matched, 11 locked by another run,",
    "12 refused as unsafe, 130 interrupted.",
  ].join("\n");
}

export function commandHelp(command: Command): string {
  const options = Object.entries({ ...command.options, ...COMMON }).map(([name, { value, help }]) => ({
    left: `--${name}${value === undefined ? "" : ` ${value}`}`,
    help,
  }));
  const width = Math.max(...options.map(({ left }) => left.length));
  return [
    `firnline ${command.name}: ${command.summary}`,
    ...(command.details === undefined ? [] : ["", command.details]),
    "",
    `Usage: firnline ${[command.name, command.arguments, "[options]"].filter((part) => part !== "").join(" ")}`,
    "",
    "Options:",
    ...options.map(({ left, help }) => `  ${left.padEnd(width)}  ${help}`),
    "",
    "Examples:",
    ...command.examples.map((example) => `  ${example}`),
  ].join("\n");
}
