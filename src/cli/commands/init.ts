/** firnline init */
import { open, rm } from "node:fs/promises";
import { readConnection } from "../../config.ts";
import { FirnlineError } from "../../errors.ts";
import type { Survey, SurveyedTable } from "../../hot/survey.ts";
import { firstPlan } from "../../plan/first-plan.ts";
import { tableText } from "../../policy/identifier-text.ts";
import { parsePolicy, type Policy } from "../../policy/policy.ts";
import { type Proposal, proposePolicy, rankTimes, type TimeColumn } from "../../policy/proposal.ts";
import { readArchiveUrl } from "../../policy/readers/archive-url.ts";
import { readTable, readVariableName } from "../../policy/readers/identifier.ts";
import { type Reading, shown } from "../../policy/readers/reading.ts";
import { builtInPrices, pricesOf, readPrices } from "../../price-file.ts";
import { microsFromMs } from "../../rows/day.ts";
import { coldBytesMinOf, openSurvey, systemClock } from "../../wiring.ts";
import { usageError } from "../arguments.ts";
import { type Command, type CommandContext, EXIT, type ExitCode, textOption } from "../command.ts";
import { estimateJson, estimateText } from "../estimate-text.ts";
import { jsonLine } from "../format.ts";
import { aboutTable, type Candidate, findingsText, listText, tableFields, tableLines } from "../init-text.ts";
import { errorFields } from "../report.ts";
import { readsUtf8 } from "../sparkline.ts";

export const init: Command = {
  name: "init",
  arguments: "",
  operandsMax: 0,
  stopsInOrder: false,
  summary: "look at a database and propose a policy file; changes nothing there",
  details:
    "Without --table it lists the tables that could be moved, largest first. With it, it proposes a\n" +
    "policy file with the reason of each choice, and says how many rows there are by month and what\n" +
    "moving them comes to. The file goes to standard output, or into --out, which is never overwritten.",
  examples: [
    "firnline init",
    "firnline init --table public.audit_logs --archive s3://acme-audit/firnline",
    "firnline init --table public.audit_logs --out pipelines/audit-logs.yaml",
  ],
  options: {
    connection: {
      type: "string",
      value: "NAME",
      help: "environment variable with the connection URL (DATABASE_URL)",
    },
    table: { type: "string", value: "TABLE", help: "schema.table to propose a policy for" },
    archive: {
      type: "string",
      value: "URL",
      help: "where its archive will be: s3://bucket/prefix, or a folder",
    },
    out: { type: "string", value: "FILE", help: "write the policy into this new file" },
    prices: { type: "string", value: "FILE", help: "prices that differ from S3's list (FIRNLINE_PRICES)" },
  },
  async run(context) {
    const variable = readOption(context, "connection", "DATABASE_URL", readVariableName);
    if (context.environ[variable] === undefined || context.environ[variable] === "") {
      throw usageError(
        variable,
        "this variable is not set",
        "Export the connection URL in it, or name another one with --connection",
      );
    }
    await using survey = openSurvey(readConnection(context.environ, variable), context.settings);
    return textOption(context, "table") === undefined
      ? await listTables(context, survey, variable)
      : await proposeFor(context, survey, variable);
  },
};

/** An option that is read as the policy's field would be. */
function readOption<T>(
  context: CommandContext,
  name: string,
  fallback: string,
  reader: (text: string) => Reading<T>,
): T {
  const reading = reader(textOption(context, name) ?? fallback);
  if (reading.ok) return reading.value;
  throw usageError(`--${name}`, reading.problem, reading.hint ?? "See `firnline init --help`");
}

const TABLES_MAX = 200;
const CANDIDATES_MAX = 20;
/** 16 MiB of each table in the list, 512 MiB of the one that is asked for. */
const LIST_PAGES_MAX = 2_048;
const TABLE_PAGES_MAX = 65_536;

async function listTables(context: CommandContext, survey: Survey, variable: string): Promise<ExitCode> {
  const onlyWithTable = ["archive", "out", "prices"].find((name) => textOption(context, name) !== undefined);
  if (onlyWithTable !== undefined) {
    throw usageError(`--${onlyWithTable}`, "it needs --table", "`firnline init` alone lists the tables");
  }
  const { tables, found } = await survey.tables(TABLES_MAX);
  const movable = tables.filter(({ obstacle }) => obstacle === null);
  const candidates: Candidate[] = [];
  for (const table of movable.slice(0, CANDIDATES_MAX)) {
    const [time] = rankTimes(table.times) as [TimeColumn];
    candidates.push({ table, time, rows: await survey.rowsByDay(table, time, LIST_PAGES_MAX) });
  }
  const others = tables.filter(({ obstacle }) => obstacle !== null);
  const smaller = movable.length - candidates.length + found - tables.length;
  if (context.json) {
    for (const one of candidates) context.print(jsonLine(tableFields(one.table, one)));
    for (const table of others) context.print(jsonLine(tableFields(table, null)));
    return EXIT.done;
  }
  const lines = listText({ candidates, smaller, others }, { utf8: readsUtf8(context.environ) });
  for (const line of lines) context.print(line);
  const [first] = candidates;
  if (first !== undefined) {
    const connection = variable === "DATABASE_URL" ? "" : ` --connection ${variable}`;
    context.note(`next: firnline init${connection} --table ${shellWord(tableText(first.table))}`);
  }
  return EXIT.done;
}

const shellWord = (text: string): string =>
  /^[\w.]+$/.test(text) ? text : `'${text.replaceAll(/[\p{Cc}\p{Cf}]/gu, "?").replaceAll("'", "'\\''")}'`;

async function proposeFor(context: CommandContext, survey: Survey, variable: string): Promise<ExitCode> {
  const table = await findTable(context, survey);
  const archiveUrl =
    textOption(context, "archive") === undefined ? null : readOption(context, "archive", "", readArchiveUrl);
  const file = textOption(context, "prices") ?? context.settings.prices;
  const own = file === null ? null : await readPrices(file);
  const [time] = rankTimes(table.times) as [TimeColumn];
  const rows = await survey.rowsByDay(table, time, TABLE_PAGES_MAX);
  const proposal = proposePolicy({
    connectionVariable: variable,
    table,
    isPartitioned: table.isPartitioned,
    times: table.times,
    keys: table.keys,
    archiveUrl,
    zone: await survey.zone(),
    about: [
      `${aboutTable(table, rows)}.`,
      `Proposed by \`firnline init\` on ${today()}; nothing runs by itself.`,
    ],
  });
  const policy = withZone(proposal);
  const findings = await survey.refusals(policy);
  const first = firstPlan({
    policy,
    days: rows.days,
    bytes: table.bytes,
    isPartitioned: table.isPartitioned,
    asOf: microsFromMs(systemClock.now()),
    // Where nothing is said of the archive, what it would cost at AWS is better than nothing.
    prices: archiveUrl === null ? (own ?? builtInPrices()) : pricesOf(policy.archive, own),
    coldBytesMin: coldBytesMinOf(policy),
    segmentBytesMax: BigInt(context.settings.limits.segmentBytesMax),
    rowGroupRowsMax: BigInt(context.settings.limits.rowGroupRowsMax),
  });

  const out = textOption(context, "out");
  if (out !== undefined) await writeNew(out, proposal.text);
  if (context.json) {
    context.print(
      jsonLine({
        ...tableFields(table, { time, rows }),
        pipeline: proposal.pipeline,
        policy: proposal.text,
        out: out ?? null,
        findings: findings.map(errorFields),
      }),
    );
    for (const line of estimateJson(proposal.pipeline, first.estimate)) context.print(line);
    return EXIT.done;
  }
  // The policy alone goes to standard output, so that it can be redirected into a file.
  const say = out === undefined ? context.note : context.print;
  for (const line of tableLines(table, rows, { utf8: readsUtf8(context.environ) })) say(line);
  for (const line of estimateText(first.plan, first.estimate)) say(line);
  for (const line of findingsText(findings, time)) say(line);
  if (out === undefined) {
    for (const line of proposal.text.trimEnd().split("\n")) context.print(line);
    return EXIT.done;
  }
  say(`wrote ${out}: read it, then \`firnline migrate ${out}\` and \`firnline plan ${out}\``);
  return EXIT.done;
}

async function findTable(context: CommandContext, survey: Survey): Promise<SurveyedTable> {
  const name = readOption(context, "table", "", readTable);
  const table = await survey.table(name);
  if (table === null) {
    throw usageError(
      `--table ${shown(tableText(name))}`,
      "there is no such table that could be moved",
      "`firnline init` lists them; views, leaves of partitions, temporary and unlogged tables are none",
    );
  }
  if (table.obstacle !== null) throw table.obstacle;
  return table;
}

const today = (): string => new Date(systemClock.now()).toISOString().slice(0, 10);

/** The policy as it is meant: with the zone that its owner has still to confirm. */
function withZone({ text, pipeline }: Proposal): Policy {
  return parsePolicy(text.replace("\n  #zone: ", "\n  zone: "), `${pipeline}.yaml`);
}

async function writeNew(path: string, text: string): Promise<void> {
  const fail = (problem: string, hint: string, cause: unknown): FirnlineError =>
    new FirnlineError({ code: "E_INPUT", subject: `--out ${path}`, problem, hint, cause });
  const file = await open(path, "wx").catch((cause: NodeJS.ErrnoException) => {
    throw cause.code === "EEXIST"
      ? fail(
          "there is something of that name already",
          "Name a new file; what is there is never overwritten",
          cause,
        )
      : fail(`it cannot be written (${cause.message})`, "Name a file in a folder that exists", cause);
  });
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (cause) {
    await rm(path, { force: true });
    throw fail(`it cannot be written (${(cause as Error).message})`, "Free space, then try again", cause);
  } finally {
    await file.close();
  }
}
