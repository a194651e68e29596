/** Finds the policies that a command is about. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readConnection } from "../config.ts";
import { FirnlineError } from "../errors.ts";
import type { Policy } from "../policy/policy.ts";
import { Pipeline, readPolicy } from "../wiring.ts";
import type { CommandContext, OptionSpec } from "./command.ts";
import { formatBytes, formatCount } from "./format.ts";

export const FOLDER_OPTION: OptionSpec = {
  type: "string",
  value: "FOLDER",
  help: "where policy files are (pipelines)",
};

const DEFAULT_FOLDER = "pipelines";

/** The named policies, or all of the folder, in the order of their names. Two on one table are refused. */
export async function readPolicies(context: CommandContext): Promise<Policy[]> {
  const folder = typeof context.options["folder"] === "string" ? context.options["folder"] : DEFAULT_FOLDER;
  const files =
    context.positionals.length > 0
      ? await Promise.all(context.positionals.map(async (name) => await findFile(folder, name)))
      : await listFiles(folder);
  const policies: Policy[] = [];
  for (const file of files) policies.push(await readPolicy(file));
  refuseDoubles(policies);
  return policies;
}

async function listFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: Error) => {
    throw inputError(
      folder,
      `the folder of policies cannot be read (${cause.message})`,
      "Name it with --folder",
    );
  });
  const files = names.filter((name) => /\.ya?ml$/.test(name)).sort();
  if (files.length > 0) return files.map((name) => join(folder, name));
  throw inputError(folder, "there is no policy file in it", "Write one; the README shows an example");
}

/** `audit-logs`, `audit_logs` and a path all name pipelines/audit-logs.yaml. */
async function findFile(folder: string, name: string): Promise<string> {
  if (/\.ya?ml$/.test(name)) return name;
  const files = await listFiles(folder);
  for (const file of files) {
    const stem = file.replace(/^.*[/\\]/, "").replace(/\.ya?ml$/, "");
    if (stem === name || stem.replaceAll("-", "_") === name || (await readPolicy(file)).pipeline === name)
      return file;
  }
  throw inputError(
    name,
    `no policy of that name is in ${folder}`,
    "Name a policy file, or another folder with --folder",
  );
}

function refuseDoubles(policies: readonly Policy[]): void {
  const seen = new Map<string, string>();
  for (const { pipeline, source } of policies) {
    for (const key of [
      `pipeline ${pipeline}`,
      `table ${source.table.schema}.${source.table.name} of ${source.connectionVariable}`,
    ]) {
      const other = seen.get(key);
      if (other !== undefined) {
        throw new FirnlineError({
          code: "E_POLICY",
          subject: `pipeline ${pipeline}`,
          problem: `${key} has two policies (the other is ${other})`,
          hint: "A table has one pipeline; use rules for different retentions",
        });
      }
      seen.set(key, pipeline);
    }
  }
}

/** Opens a pipeline whose progress goes to the terminal. */
export function openPipeline(context: CommandContext, policy: Policy): Pipeline {
  return new Pipeline({
    policy,
    connectionString: readConnection(context.environ, policy.source.connectionVariable),
    settings: context.settings,
    report: ({ stage, subject, rows, bytes }) => {
      const size = bytes > 0n ? `, ${formatBytes(bytes)}` : "";
      context.progress(`${policy.pipeline}: ${stage} ${subject}: ${formatCount(rows)} rows${size}`);
    },
  });
}

function inputError(subject: string, problem: string, hint: string): FirnlineError {
  return new FirnlineError({ code: "E_INPUT", subject, problem, hint });
}
