#!/usr/bin/env node
/** The command line: reads arguments, runs one command, prints errors in one form and sets the exit code. */
import { readSettings } from "../config.ts";
import { FirnlineError } from "../errors.ts";
import { collectLessOften } from "../garbage.ts";
import { nearest } from "../policy/findings.ts";
import { shown } from "../policy/readers/reading.ts";
import { VERSION } from "../wiring.ts";
import { readArguments, usageError } from "./arguments.ts";
import { type About, type Command, EXIT, type ExitCode } from "./command.ts";
import { adopt } from "./commands/adopt.ts";
import { catalog } from "./commands/catalog.ts";
import { collect } from "./commands/collect.ts";
import { verify } from "./commands/verify.ts";
import { demo } from "./commands/demo.ts";
import { doctor } from "./commands/doctor.ts";
import { hold } from "./commands/hold.ts";
import { init } from "./commands/init.ts";
import { lifecycle } from "./commands/lifecycle.ts";
import { migrate } from "./commands/migrate.ts";
import { plan } from "./commands/plan.ts";
import { rehydrate } from "./commands/rehydrate.ts";
import { restores } from "./commands/restores.ts";
import { retrieve } from "./commands/retrieve.ts";
import { run } from "./commands/run.ts";
import { status } from "./commands/status.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { Output } from "./output.ts";
import { errorJson, errorsOf, errorText, errorTrace, exitCodeOf } from "./report.ts";

const COMMANDS: readonly Command[] = [
  init,
  doctor,
  migrate,
  plan,
  run,
  status,
  retrieve,
  rehydrate,
  restores,
  verify,
  catalog,
  adopt,
  collect,
  hold,
  lifecycle,
  demo,
];

const args = process.argv.slice(2);
const json = args.includes("--json");
const debug = args.includes("--debug");
const output = new Output(json);

/** Prints what went wrong and says which exit code it means. */
function report(error: unknown, about?: About): ExitCode {
  const errors = errorsOf(error);
  for (const one of errors) {
    if (json) output.print(errorJson(one, about));
    else output.complain(errorText(one, about));
  }
  if (debug) output.complain(errorTrace(error));
  return exitCodeOf(errors);
}

async function main(): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined) {
    output.complain(generalHelp(COMMANDS));
    return EXIT.usage;
  }
  if (name === "--version") {
    output.print(VERSION);
    return EXIT.done;
  }
  if (name === "--help" || name === "-h" || (name === "help" && rest.length === 0)) {
    output.print(generalHelp(COMMANDS));
    return EXIT.done;
  }
  const command = findCommand(name === "help" ? (rest[0] as string) : name);
  if (name === "help" || rest.includes("--help") || rest.includes("-h")) {
    output.print(commandHelp(command));
    return EXIT.done;
  }
  return await runCommand(command, rest);
}

function findCommand(name: string): Command {
  const command = COMMANDS.find((one) => one.name === name);
  if (command !== undefined) return command;
  const names = COMMANDS.map((one) => one.name);
  const near = nearest(name, names);
  throw usageError(
    "firnline",
    `there is no such command (found ${shown(name)})`,
    near === null ? `Commands are ${names.join(", ")}` : `Did you mean ${near}? See \`firnline help\``,
  );
}

async function runCommand(command: Command, rest: readonly string[]): Promise<ExitCode> {
  const interrupt = new AbortController();
  let signals = 0;
  const onSignal = (): void => {
    signals += 1;
    if (signals === 1 && command.stopsInOrder) {
      output.note("stopping at the next safe place; a second Ctrl-C stops at once");
      interrupt.abort();
      return;
    }
    // Nothing is half done that a later run could not take up: deletes are transactions, files have temporary names.
    report(stoppedAtOnce(command));
    process.exit(EXIT.interrupted);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    const code = await command.run({
      ...readArguments(command, rest),
      settings: readSettings(process.env),
      environ: process.env,
      json,
      signal: interrupt.signal,
      print: output.print,
      note: output.note,
      progress: output.progress,
      ask: output.canAsk ? async (question) => await output.ask(question, interrupt.signal) : null,
      report,
    });
    return code;
  } catch (error) {
    const code = report(error);
    return interrupt.signal.aborted ? EXIT.interrupted : code;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

function stoppedAtOnce(command: Command): FirnlineError {
  return new FirnlineError({
    code: "E_INTERRUPTED",
    subject: `firnline ${command.name}`,
    problem: "it was stopped",
    hint: "Run it again; nothing needs to be repaired",
  });
}

async function finish(code: ExitCode): Promise<void> {
  const failure = await output.finish();
  if (failure !== undefined) {
    output.complain(
      errorText(
        new FirnlineError({
          code: "E_CAPACITY",
          subject: "standard output",
          problem: `it could not be written (${failure.message})`,
          hint: "What was done stays done; `firnline status` shows it",
        }),
      ),
    );
  }
  // Not process.exit(): output that is still on its way to a pipe would be cut off.
  process.exitCode = failure !== undefined && code === EXIT.done ? EXIT.failed : code;
}

collectLessOften();
process.on("uncaughtException", (error) => {
  report(error);
  process.exit(EXIT.failed);
});
await finish(await main().catch((error: unknown) => report(error)));
