#!/usr/bin/env node
/** The command line: reads arguments, runs one command, prints errors in one form and sets the exit code. */
import { parseArgs } from "node:util";
import { readSettings } from "../config.ts";
import { FirnlineError, FirnlineErrors } from "../errors.ts";
import { type Command, type CommandContext, EXIT, type ExitCode, type OptionSpec } from "./command.ts";
import { demo } from "./commands/demo.ts";
import { migrate } from "./commands/migrate.ts";
import { plan } from "./commands/plan.ts";
import { retrieve } from "./commands/retrieve.ts";
import { run } from "./commands/run.ts";
import { status } from "./commands/status.ts";
import { jsonLine } from "./format.ts";
import { commandHelp, generalHelp } from "./help.ts";

const COMMANDS: readonly Command[] = [migrate, plan, run, status, retrieve, demo];

/** Every command takes these. */
const COMMON: Readonly<Record<string, OptionSpec>> = {
  json: { type: "boolean", help: "JSON lines for machines" },
  debug: { type: "boolean", help: "print stack traces" },
  help: { type: "boolean", help: "print this help" },
};

async function main(args: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "help" || name === "-h") {
    const about = COMMANDS.find((command) => command.name === rest[0]);
    console.log(about === undefined ? generalHelp(COMMANDS) : commandHelp(about, COMMON));
    return name === undefined ? EXIT.usage : EXIT.done;
  }
  const command = COMMANDS.find((one) => one.name === name);
  const json = rest.includes("--json");
  const debug = rest.includes("--debug");
  if (command === undefined) {
    const known = COMMANDS.map((one) => one.name).join(", ");
    return report(
      usage(`firnline ${name}`, "there is no such command", `Commands are ${known}`),
      json,
      debug,
    );
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    console.log(commandHelp(command, COMMON));
    return EXIT.done;
  }
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort();
  // The first signal asks for an orderly stop; with the listener gone, a second one ends the process at once.
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    return await command.run(readContext(command, rest, json, interrupt.signal));
  } catch (error) {
    return report(error, json, debug, interrupt.signal.aborted);
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    clearProgress();
  }
}

function readContext(
  command: Command,
  args: readonly string[],
  json: boolean,
  signal: AbortSignal,
): CommandContext {
  const specs = { ...COMMON, ...command.options };
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: [...args],
      options: Object.fromEntries(
        Object.entries(specs).map(([name, { type, multiple }]) => [
          name,
          { type, multiple: multiple ?? false },
        ]),
      ),
      allowPositionals: true,
    });
  } catch (error) {
    const problem = (error as Error).message.split(/[.'] /)[0] as string;
    throw usage(`firnline ${command.name}`, problem, `See \`firnline ${command.name} --help\``);
  }
  return {
    positionals: parsed.positionals,
    options: parsed.values as CommandContext["options"],
    settings: readSettings(process.env),
    environ: process.env,
    json,
    signal,
    print: (line) => {
      clearProgress();
      console.log(line);
    },
    note: (line) => {
      clearProgress();
      if (!json) console.error(line);
    },
    progress: json || !process.stderr.isTTY ? () => {} : showProgress,
  };
}

let progressShown = false;

function showProgress(line: string): void {
  const width = (process.stderr.columns ?? 80) - 1;
  process.stderr.write(`\r\u001b[2K${line.slice(0, width)}`);
  progressShown = true;
}

function clearProgress(): void {
  if (progressShown) process.stderr.write("\r\u001b[2K");
  progressShown = false;
}

function usage(subject: string, problem: string, hint: string): FirnlineError {
  return new FirnlineError({ code: "E_INPUT", subject, problem, hint });
}

/** Prints an error and says which exit code it means. */
function report(error: unknown, json: boolean, debug: boolean, interrupted = false): ExitCode {
  clearProgress();
  const errors = error instanceof FirnlineErrors ? error.errors : [error];
  for (const one of errors) {
    const known = one instanceof FirnlineError;
    if (json && known) {
      const { code, subject, problem, hint, message } = one;
      console.log(jsonLine({ error: { code, subject, problem, hint, message } }));
    } else if (known) console.error(one.message);
    else {
      const problem = one instanceof Error ? one.message : String(one);
      console.error(`E_INTERNAL firnline: ${problem}. Run it again with --debug and report what it prints.`);
    }
    if (debug && one instanceof Error) console.error(one.stack, one.cause ?? "");
  }
  if (interrupted) return EXIT.interrupted;
  return exitCodeOf(errors);
}

function exitCodeOf(errors: readonly unknown[]): ExitCode {
  const codes = errors.map((error) => (error instanceof FirnlineError ? error.code : "E_INTERNAL"));
  if (codes.includes("E_INTERRUPTED")) return EXIT.interrupted;
  if (codes.includes("E_LOCKED")) return EXIT.locked;
  if (codes.every((code) => code === "E_INPUT")) return EXIT.usage;
  const refusals = [
    "E_POLICY",
    "E_KEY",
    "E_TYPE",
    "E_RELATION",
    "E_SERVER",
    "E_SIDE_EFFECT",
    "E_VISIBILITY",
    "E_DETACH",
  ];
  return codes.every((code) => refusals.includes(code)) ? EXIT.refused : EXIT.failed;
}

// Not process.exit(): output that is still on its way to a pipe would be cut off.
process.exitCode = await main(process.argv.slice(2));
