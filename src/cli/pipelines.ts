/** Finds the policies that a command is about, and runs it on each of their pipelines. */
import { readdir, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { readConnection } from "../config.ts";
import { FirnlineError, FirnlineErrors } from "../errors.ts";
import type { Policy } from "../policy/policy.ts";
import { shown } from "../policy/readers/reading.ts";
import { Pipeline } from "../pipeline.ts";
import { readPolicy } from "../wiring.ts";
import { usageError } from "./arguments.ts";
import { type CommandContext, EXIT, type ExitCode, type OptionSpec, textOption } from "./command.ts";
import { ProgressLine } from "./progress.ts";

export const FOLDER_OPTION: OptionSpec = {
  type: "string",
  value: "FOLDER",
  help: "where policy files are (pipelines)",
};

const DEFAULT_FOLDER = "pipelines";
const POLICY_FILE = /\.ya?ml$/;

interface Found {
  readonly file: string;
  readonly policy: Policy;
}

/** The named policies, or all of the folder, in the order of their names. Two on one table are refused. */
export async function readPolicies(context: CommandContext): Promise<Policy[]> {
  const { policies, refused } = await readPoliciesApart(context);
  for (const error of refused) throw error;
  return policies;
}

/** The same, where a policy that is refused does not hide the others. What cannot be read at all is thrown. */
export async function readPoliciesApart(
  context: CommandContext,
): Promise<{ readonly policies: Policy[]; readonly refused: readonly Error[] }> {
  const folder = textOption(context, "folder") ?? DEFAULT_FOLDER;
  const chosen = context.positionals.length > 0 ? await findAll(folder, context.positionals) : [];
  const found: Found[] = [];
  const refused: Error[] = [];
  for (const file of chosen.length > 0 ? chosen : await listFiles(folder)) {
    try {
      found.push({ file, policy: await readPolicy(file) });
    } catch (error) {
      if (!(error instanceof FirnlineErrors)) throw error;
      refused.push(error);
    }
  }
  const others = chosen.length > 0 ? await othersThan(chosen, folder) : [];
  refused.push(...doubles([...found, ...others]));
  return { policies: found.map(({ policy }) => policy), refused };
}

async function listFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: Error) => {
    throw usageError(
      folder,
      `the folder of policies cannot be read (${cause.message})`,
      "Name it with --folder",
    );
  });
  const files = names.filter((name) => POLICY_FILE.test(name)).sort();
  if (files.length > 0) return files.map((name) => join(folder, name));
  throw usageError(folder, "there is no policy file in it", "Write one; `firnline init` proposes it");
}

/** Each file once, however often and by whatever name it is asked for. */
async function findAll(folder: string, names: readonly string[]): Promise<string[]> {
  const files = new Map<string, string>();
  for (const name of names) {
    const file = await findFile(folder, name);
    const real = await realpath(file).catch(() => file);
    if (!files.has(real)) files.set(real, file);
  }
  return [...files.values()];
}

/** `audit-logs`, `audit_logs` and a path all name pipelines/audit-logs.yaml. */
async function findFile(folder: string, name: string): Promise<string> {
  if (POLICY_FILE.test(name)) return name;
  const files = await listFiles(folder);
  const stems = files.map((file) => basename(file).replace(POLICY_FILE, ""));
  const exact = stems.indexOf(name);
  const like = exact >= 0 ? exact : stems.findIndex((stem) => stem.replaceAll("-", "_") === name);
  if (like >= 0) return files[like] as string;
  // A file may have another name than its pipeline; one that cannot be read is not the one that is meant.
  for (const { file, policy } of await readable(files)) if (policy.pipeline === name) return file;
  throw usageError(
    folder,
    `it has no policy of that name (found ${shown(name)}, it has ${stems.join(", ")})`,
    "Name one of these, the path of a policy file, or another folder with --folder",
  );
}

/** What else is in the folder: a named pipeline must not share its table with one of them either. */
async function othersThan(chosen: readonly string[], folder: string): Promise<Found[]> {
  const real = async (file: string): Promise<string> => await realpath(file).catch(() => file);
  const known = new Set(await Promise.all(chosen.map(real)));
  const files = await listFiles(folder).catch(() => []);
  const isOther = await Promise.all(files.map(async (file) => !known.has(await real(file))));
  return await readable(files.filter((_, index) => isOther[index]));
}

async function readable(files: readonly string[]): Promise<Found[]> {
  const read = async (file: string): Promise<Found[]> => [{ file, policy: await readPolicy(file) }];
  return (await Promise.all(files.map(async (file) => await read(file).catch(() => [])))).flat();
}

function doubles(found: readonly Found[]): FirnlineError[] {
  const seen = new Map<string, Found>();
  const refused: FirnlineError[] = [];
  for (const one of found) {
    const { pipeline, source } = one.policy;
    const table = `${source.table.schema}.${source.table.name}`;
    for (const [key, what] of [
      [`pipeline ${pipeline}`, `the name ${pipeline}`],
      [`table ${source.connectionVariable} ${table}`, `table ${table} of ${source.connectionVariable}`],
    ] as const) {
      const other = seen.get(key);
      if (other !== undefined) {
        const error = new FirnlineError({
          code: "E_POLICY",
          subject: one.file,
          problem: `${what} is taken by pipeline ${other.policy.pipeline} of ${other.file}`,
          hint: "A table has one pipeline, and a pipeline one file; use rules for different retentions",
        });
        refused.push(error);
      }
      seen.set(key, one);
    }
  }
  return refused;
}

/** From the one that a person must look at first to the one that nobody has to. */
const WORST_FIRST: readonly ExitCode[] = [
  EXIT.interrupted,
  EXIT.failed,
  EXIT.usage,
  EXIT.refused,
  EXIT.partly,
  EXIT.locked,
  EXIT.nothing,
];

/**
 * Runs `work` on one pipeline after the other. What goes wrong with one is reported, counts for the exit code, and does
 * not keep the others from their night's work.
 */
export async function eachPipeline(
  context: CommandContext,
  work: (pipeline: Pipeline, policy: Policy) => Promise<ExitCode>,
): Promise<ExitCode> {
  return await eachPolicy(context, await readPolicies(context), work);
}

export async function eachPolicy(
  context: CommandContext,
  policies: readonly Policy[],
  work: (pipeline: Pipeline, policy: Policy) => Promise<ExitCode>,
): Promise<ExitCode> {
  const codes: ExitCode[] = [];
  for (const policy of policies) {
    try {
      await using pipeline = openPipeline(context, policy);
      codes.push(await work(pipeline, policy));
    } catch (error) {
      codes.push(context.report(error, { pipeline: policy.pipeline, isOneOfMany: policies.length > 1 }));
      if (context.signal.aborted) return EXIT.interrupted;
    }
  }
  return worstOf(codes);
}

export function worstOf(codes: readonly ExitCode[]): ExitCode {
  return WORST_FIRST.find((code) => codes.includes(code)) ?? EXIT.done;
}

/** Opens a pipeline whose progress goes to the terminal. */
function openPipeline(context: CommandContext, policy: Policy): Pipeline {
  const progress = new ProgressLine();
  return new Pipeline({
    policy,
    connectionString: readConnection(context.environ, policy.source.connectionVariable),
    settings: context.settings,
    report: (event) => context.progress(`${policy.pipeline}: ${progress.add(event)}`),
  });
}
