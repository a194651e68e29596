/** The commands on a scenario's database, policy and archive. */
import { readdir } from "node:fs/promises";
import { expect } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { AS_OF, inOrder, LAST_COLD, LAST_DUE, type Scenario, SMALL } from "../support/scenario.ts";
import { CommandLine, type Ending, type Environ, jsonLines } from "./command-line.ts";

export const WHEN = ["--as-of", AS_OF];
export const YEAR = ["--from", "2025-12-01", "--to", "2026-02-28"];

export function start(scenario: Scenario, args: readonly string[], environ: Environ = {}): CommandLine {
  const own = { DATABASE_URL: scenario.urlFor({ command: args[0] as string }), ...SMALL };
  return new CommandLine([...args, "--folder", scenario.policies], {
    environ: { ...own, ...inOrder(environ) },
  });
}

export async function cli(scenario: Scenario, ...args: readonly string[]): Promise<Ending> {
  return await start(scenario, args).ended;
}

/** The lines of an answer in JSON; standard error must be silent. */
export async function json(
  scenario: Scenario,
  ...args: readonly string[]
): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await cli(scenario, ...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return jsonLines(stdout);
}

/** Three days: one goes cold, one goes warm, one stays hot. */
export async function fill(scenario: Scenario): Promise<void> {
  await scenario.insert(auditRows(LAST_COLD, 1, 60));
  await scenario.insert(auditRows(LAST_DUE, 101, 60));
  await scenario.insert(auditRows("2026-02-20", 201, 60));
}

/** Rows of every table of the database, and every file of the archive. */
export async function everything(
  scenario: Scenario,
): Promise<{ rows: Record<string, unknown>; archive: string[] }> {
  const tables = await scenario.query(
    `SELECT oid::regclass::text AS name FROM pg_class
     WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('public', 'truth', 'firnline') ORDER BY 1`,
  );
  const rows: Record<string, unknown> = {};
  for (const { name } of tables) {
    rows[name as string] = await scenario.query(
      `SELECT count(*)::int AS rows, md5(string_agg(t::text, ',' ORDER BY t::text)) FROM ${name} t`,
    );
  }
  return { rows, archive: await readdir(scenario.archive, { recursive: true }).catch(() => []) };
}
