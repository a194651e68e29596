/**
 * `firnline COMMAND` without a process of its own: the command's own code, and the lines and exit codes that `main.ts`
 * makes of its errors. What a process adds (signals, pipes, a crash) is shown by one of them for each error code.
 */
import { readArguments } from "../../src/cli/arguments.ts";
import type { About, Command, ExitCode } from "../../src/cli/command.ts";
import { adopt } from "../../src/cli/commands/adopt.ts";
import { catalog } from "../../src/cli/commands/catalog.ts";
import { doctor } from "../../src/cli/commands/doctor.ts";
import { plan } from "../../src/cli/commands/plan.ts";
import { retrieve } from "../../src/cli/commands/retrieve.ts";
import { run } from "../../src/cli/commands/run.ts";
import { status } from "../../src/cli/commands/status.ts";
import { verify } from "../../src/cli/commands/verify.ts";
import { errorsOf, errorText, exitCodeOf } from "../../src/cli/report.ts";
import { readSettings } from "../../src/config.ts";

const COMMANDS: readonly Command[] = [adopt, catalog, doctor, plan, retrieve, run, status, verify];

export interface Answer {
  readonly code: ExitCode;
  /** Lines of standard output and standard error, in the order in which they came. */
  readonly lines: readonly string[];
}

export async function command(
  [name, ...rest]: readonly string[],
  environ: Readonly<Record<string, string>>,
): Promise<Answer> {
  const found = COMMANDS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`a test asks for the command ${name}`);
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const report = (error: unknown, about?: About): ExitCode => {
    const errors = errorsOf(error);
    for (const one of errors) print(errorText(one, about));
    return exitCodeOf(errors);
  };
  try {
    const code = await found.run({
      ...readArguments(found, rest),
      settings: readSettings(environ),
      environ,
      json: false,
      signal: new AbortController().signal,
      print,
      note: print,
      progress: () => {},
      ask: null,
      report,
    });
    return { code, lines: lines.flatMap((line) => line.split("\n")) };
  } catch (error) {
    return { code: report(error), lines };
  }
}
