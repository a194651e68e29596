/** What a command is: its help, its options, and how it runs. `main.ts` knows them all. */
import type { Settings } from "../config.ts";

/** Exit codes, see DESIGN section 8. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  partly: 3,
  nothing: 10,
  locked: 11,
  refused: 12,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface OptionSpec {
  readonly type: "string" | "boolean";
  readonly multiple?: true;
  /** Shown as `--name VALUE`. */
  readonly value?: string;
  readonly help: string;
}

export interface CommandContext {
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | string[] | undefined>>;
  readonly settings: Settings;
  readonly environ: Readonly<Record<string, string | undefined>>;
  readonly json: boolean;
  /** Aborted by the first Ctrl-C or SIGTERM of a command that stops in order. */
  readonly signal: AbortSignal;
  /** One line to standard output. */
  readonly print: (line: string) => void;
  /** One line for people to standard error; nothing with `--json`. */
  readonly note: (line: string) => void;
  /** A line that the next one replaces; only on a terminal. */
  readonly progress: (line: string) => void;
  /** Asks the person at the terminal, who must answer y; null where there is none. */
  readonly ask: ((question: string) => Promise<boolean>) | null;
  /** Prints an error of one pipeline, so that the command can go on with the others; returns its exit code. */
  readonly report: (error: unknown, about: About) => ExitCode;
}

/** Which pipeline an error is about; people are told where it could be another one. */
export interface About {
  readonly pipeline: string;
  readonly isOneOfMany: boolean;
}

export interface Command {
  readonly name: string;
  readonly arguments: string;
  /** How many names it takes. */
  readonly operandsMax: number;
  /** Whether it heeds `signal`, and stops in order at the first Ctrl-C. If not, that ends it at once. */
  readonly stopsInOrder: boolean;
  readonly summary: string;
  readonly details?: string;
  readonly examples: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  run(context: CommandContext): Promise<ExitCode>;
}

export function textOption(context: CommandContext, name: string): string | undefined {
  const value = context.options[name];
  return typeof value === "string" ? value : undefined;
}

export function listOption(context: CommandContext, name: string): readonly string[] {
  const value = context.options[name];
  return Array.isArray(value) ? value : [];
}
