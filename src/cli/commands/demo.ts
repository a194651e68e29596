/** firnline demo */
import { dirname } from "node:path";
import { DEMO_ROWS_MIN, type DemoResult, runDemo } from "../../demo/demo.ts";
import type { Status } from "../../pipeline-options.ts";
import { shown } from "../../policy/readers/reading.ts";
import { usageError } from "../arguments.ts";
import { type Command, type CommandContext, EXIT, textOption } from "../command.ts";
import { formatCount, plural } from "../format.ts";
import { planText } from "../plan-text.ts";
import { statusText, tiersOf } from "../status-text.ts";

const ROWS = 200_000;
const ROWS_MAX = 20_000_000;

export const demo: Command = {
  name: "demo",
  arguments: "",
  operandsMax: 0,
  stopsInOrder: true,
  summary: "the whole pipeline in about a minute, on a Postgres and an archive of its own",
  details:
    "Needs nothing and touches nothing of yours; everything is in a temporary folder that goes at the\n" +
    "end. The last line of --json holds the counts: hot + warm + cold = inserted, lost 0, duplicated 0.",
  examples: ["firnline demo", "firnline demo --rows 1000000", "firnline demo --keep"],
  options: {
    rows: { type: "string", value: "N", help: `audit events in all (${ROWS})` },
    keep: {
      type: "boolean",
      help: "leave the archive and the database's files, and say how to look at them",
    },
  },
  async run(context) {
    const { note, progress, settings, signal } = context;
    const keep = context.options["keep"] === true;
    const result = await runDemo(
      {
        rows: readRows(context),
        keep,
        settings,
        signal,
        story: {
          chapter: (title) => note(`\n# ${title}`),
          line: (text) => note(`  ${text}`),
          plan: (plan) => planText("audit_logs", plan, false).forEach((line) => note(`  ${line}`)),
          status: (status) => statusText(status).forEach((line) => note(`  ${line}`)),
          progress: (text) => progress(`  ${text}`),
        },
      },
      tierRows,
    );
    const { folder, dataDirectory, ...numbers } = result;
    if (context.json)
      context.print(
        JSON.stringify(keep ? { ...asNumbers(numbers), folder, dataDirectory } : asNumbers(numbers)),
      );
    else for (const line of summary(result)) context.print(line);
    const isSound =
      result.lost === 0n &&
      result.duplicated === 0n &&
      result.movedBySecondRun === 0n &&
      result.hot + result.warm + result.cold === result.inserted;
    return isSound ? EXIT.done : EXIT.failed;
  },
};

/** The demo's totals are bounded far below 2^53, so that plain numbers are right here. */
function asNumbers(totals: Readonly<Record<string, bigint | number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(totals).map(([name, total]) => [name, Number(total)]));
}

function tierRows(status: Status): { hot: bigint; warm: bigint; cold: bigint } {
  const rows = (tier: string): bigint => tiersOf(status).find((line) => line.tier === tier)?.rows ?? 0n;
  return { hot: rows("hot"), warm: rows("warm"), cold: rows("cold") };
}

function readRows(context: CommandContext): number {
  const text = textOption(context, "rows") ?? String(ROWS);
  const rows = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (rows >= DEMO_ROWS_MIN && rows <= ROWS_MAX) return rows;
  throw usageError(
    "--rows",
    `${shown(text)} is not a number from ${DEMO_ROWS_MIN} to ${ROWS_MAX}`,
    `Leave it away for ${ROWS}; the demo wants at least a row a day`,
  );
}

function summary(result: DemoResult): string[] {
  const { inserted, hot, warm, cold, retrieved, lost, duplicated, seconds, folder, dataDirectory } = result;
  const tiers: readonly (readonly [string, bigint, string])[] = [
    ["hot", hot, "of the last 30 days, in Postgres"],
    ["warm", warm, "of the year before, as Parquet that any tool reads"],
    ["cold", cold, "older ones, in a Glacier class"],
  ];
  const width = formatCount(inserted).length;
  return [
    "",
    `${plural(inserted, "audit event")} went in; after ${seconds} s they are`,
    ...tiers.map(
      ([tier, rows, where]) => `  ${tier.padEnd(4)}  ${formatCount(rows).padStart(width)}  ${where}`,
    ),
    `Asked for all of them, ${formatCount(retrieved)} came back: ${formatCount(lost)} lost, ${formatCount(duplicated)} duplicated.`,
    "No row left Postgres before its exact bytes had been read back from the archive.",
    ...(folder === null || dataDirectory === null
      ? ["Everything the demo made is gone again; --keep leaves it to look at."]
      : keptText(folder, dataDirectory)),
  ];
}

function keptText(folder: string, dataDirectory: string): string[] {
  return [
    "",
    `Kept in ${folder}:`,
    "  pipelines/audit-logs.yaml  the policy",
    "  archive/                   Parquet by day, manifests and the journal",
    "  answer.ndjson              the answer to the compliance request; its evidence lies beside it",
    "and the database's files in",
    `  ${dataDirectory}`,
    "Try:",
    `  cd ${shellWord(folder)}`,
    `  duckdb -c "SELECT action, count(*) FROM 'archive/audit_logs/daily/*/*/*.parquet' GROUP BY 1"`,
    "  cat archive/_firnline/audit_logs/journal/00000000000000000001.json",
    "  head -n 3 answer.ndjson",
    `  rm -r ${shellWord(dirname(dataDirectory))}`,
  ];
}

/** A path as a shell takes it. */
function shellWord(path: string): string {
  return /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
