/**
 * What a person gets to read for every mistake on the command line and in the environment:
 * `test/golden/cli-messages.txt`. Nothing here reaches a database.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ending, firnline } from "./command-line.ts";

/** A URL that nobody answers; its password must not come back. */
const CANARY = "c4naryS3cret";
const NOBODY = `postgres://u:${CANARY}@127.0.0.1:1/db`;

type Case = readonly [args: readonly string[], environ?: Readonly<Record<string, string>>];

const range = (from: string, to: string): string[] => [
  "retrieve",
  "audit-logs",
  "--from",
  from,
  "--to",
  to,
  "--out",
  "x",
];

const CASES: Readonly<Record<string, Case>> = {
  // commands
  "no such command": [["rum"]],
  "a command from elsewhere": [["vacuum"]],
  "help on no such command": [["help", "rnu"]],
  "an option where the command should be": [["--folder", "x", "run"]],
  "a connection string where the command should be": [[NOBODY]],

  // options
  "no such option": [["run", "--backfil"]],
  "no such option, unlike any": [["run", "--zzz=7"]],
  "no such short option": [["run", "-q"]],
  "an option that is a property of every object": [["run", "--constructor"]],
  "an option of another command": [["plan", "--rows", "5"]],
  "a value for a switch": [["run", "--backfill=yes"]],
  "an option without its value": [["plan", "--as-of"]],
  "an option whose value is forgotten": [[...range("2024-01-01", "2024-01-02"), "--where", "--folder"]],
  "an option twice": [[...range("2024-01-01", "2024-01-02"), "--from", "2024-02-01"]],
  "a password as an option": [["run", `--password=${CANARY}`]],

  // names
  "no such pipeline": [["plan", "nonesuch"]],
  "a name that breaks lines": [["plan", "a\nb\u001b[31m"]],
  "a connection string where a pipeline should be": [["plan", NOBODY]],
  "no such policy file": [["plan", "nonesuch.yaml"]],
  "a policy file that is a folder": [["plan", "folder.yaml"]],
  "no such folder": [["plan", "--folder", "nonesuch"]],
  "an empty folder": [["plan", "--folder", "empty"]],
  "a folder that is a file": [["plan", "--folder", "pipelines/audit-logs.yaml"]],
  "a name for the demo": [["demo", "audit-logs"]],
  "two names for a retrieval": [[...range("2024-01-01", "2024-01-02"), "audit-logs"]],
  "no name for a retrieval": [["retrieve", "--from", "2024-01-01", "--to", "2024-01-02", "--out", "x"]],

  // dates and filters
  "as of a date that is not": [["plan", "--as-of", "2023-02-29"]],
  "as of a local time": [["plan", "--as-of", "2024-03-01T12:00:00"]],
  "as of a word": [["run", "--as-of", "yesterday"]],
  "as of nothing": [["run", "--as-of", ""]],
  "a retrieval without a start": [["retrieve", "audit-logs", "--to", "2024-01-02", "--out", "x"]],
  "a retrieval without an end": [["retrieve", "audit-logs", "--from", "2024-01-02", "--out", "x"]],
  "a retrieval without a file": [["retrieve", "audit-logs", "--from", "2024-01-01", "--to", "2024-01-02"]],
  "a range that is reversed": [range("2024-03-31", "2024-03-01")],
  "a range that is empty": [range("2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z")],
  "a date in the order of another country": [range("03/01/2024", "2024-03-31")],
  "a filter without a value": [[...range("2024-01-01", "2024-01-02"), "--where", "action"]],
  "a filter without a column": [[...range("2024-01-01", "2024-01-02"), "--where", "=login"]],
  "no such format": [[...range("2024-01-01", "2024-01-02"), "--format", "xlsx"]],
  "raw CSV that is none": [[...range("2024-01-01", "2024-01-02"), "--format", "parquet", "--csv-raw"]],

  // the demo
  "too few rows": [["demo", "--rows", "413"]],
  "too many rows": [["demo", "--rows", "20000001"]],
  "rows in words": [["demo", "--rows", "1e5"]],
  "negative rows": [["demo", "--rows", "-5"]],

  // environment
  "a connection variable that is not set": [["plan"]],
  "a connection variable that is empty": [["plan"], { DATABASE_URL: "" }],
  "a connection of keywords": [["plan"], { DATABASE_URL: `host=127.0.0.1 password=${CANARY}` }],
  "a connection of another database": [["plan"], { DATABASE_URL: `mysql://u:${CANARY}@127.0.0.1/db` }],
  "a password that is not encoded": [["plan"], { DATABASE_URL: `postgres://u:${CANARY}#@127.0.0.1/db` }],
  "a percent sign that encodes nothing": [
    ["plan"],
    { DATABASE_URL: `postgres://u:%c3%28${CANARY}@127.0.0.1/db` },
  ],
  "a port that is none": [["migrate"], { DATABASE_URL: `postgres://u:${CANARY}@127.0.0.1:99999/db` }],
  "a variable that is not known": [["run"], { FIRNLINE_CHUNK_ROW: "5" }],
  "a number that is none": [["run"], { FIRNLINE_CHUNK_ROWS: "many" }],
  "a number out of bounds": [["run"], { FIRNLINE_LEASE_SECONDS: "0" }],
  "a failpoint that nothing passes": [["run"], { FIRNLINE_FAILPOINT: "seal.never:kill" }],

  // policies
  "a policy with mistakes": [["run", "broken.yaml"]],
  "a policy of this version's future": [["run", "future.yaml"], { DATABASE_URL: NOBODY }],
  "two policies on one table": [["run", "--folder", "double-table"], { DATABASE_URL: NOBODY }],
  "two policies of one name": [["plan", "--folder", "double-name"], { DATABASE_URL: NOBODY }],
  "a named policy whose table has another": [
    ["run", "b", "--folder", "double-table"],
    { DATABASE_URL: NOBODY },
  ],
};

function policy(pipeline: string, table: string, url = "file:///nonexistent/archive"): string {
  return [
    "version: 1",
    `pipeline: ${pipeline}`,
    `source: { connection: DATABASE_URL, table: public.${table}, time: ts }`,
    `archive: { url: "${url}" }`,
    "tiers: { hot: { keep: 30d }, warm: { keep: 365d } }\n",
  ].join("\n");
}

const FILES: Readonly<Record<string, string>> = {
  "pipelines/audit-logs.yaml": policy("audit_logs", "audit_logs"),
  "double-table/a.yaml": policy("a", "audit_logs"),
  "double-table/b.yaml": policy("b", "audit_logs"),
  "double-name/one.yaml": policy("a", "one"),
  "double-name/two.yaml": policy("a", "two"),
  "broken.yaml": policy("audit_logs", "audit_logs").replace("30d", "4w").replace("time: ts", "tiem: ts"),
  "future.yaml": policy("future", "future", "s3://bucket/prefix"),
};

let folder: string;
const text = new Map<string, Ending>();
const json = new Map<string, Ending>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "firnline-bad-input-"));
  for (const name of ["pipelines", "double-table", "double-name", "empty", "folder.yaml"])
    await mkdir(join(folder, name));
  for (const [name, content] of Object.entries(FILES)) await writeFile(join(folder, name), content);

  const waiting = Object.entries(CASES).flatMap(([title, [args, environ = {}]]) => [
    async (): Promise<unknown> => text.set(title, await ending(args, environ)),
    ...(AS_JSON.includes(title)
      ? [async (): Promise<unknown> => json.set(title, await ending([...args, "--json"], environ))]
      : []),
  ]);
  const worker = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await next();
  };
  await Promise.all([worker(), worker(), worker()]);
}, 120_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function ending(args: readonly string[], environ: Readonly<Record<string, string>>): Promise<Ending> {
  return await firnline(args, { environ, cwd: folder });
}

/** One of each kind; the way from an error to its line is the same for all. */
const AS_JSON = [
  "no such command",
  "no such option",
  "a name that breaks lines",
  "no such folder",
  "as of a word",
  "a connection variable that is not set",
  "a password that is not encoded",
  "a number that is none",
  "a policy with mistakes",
  "two policies on one table",
];

/** Lists of all settings and failpoints grow; that they are told is enough. */
const settled = (output: string): string =>
  output.replaceAll(/(Known are FIRNLINE)[^\n]+/g, "$1... and so on.");

describe("bad input", () => {
  it("is answered as written down", async () => {
    const sections = Object.entries(CASES).map(([title, [args]]) => {
      const { code, stderr } = text.get(title) as Ending;
      const shown = args.map((arg) => (/^[\w./:=-]+$/.test(arg) ? arg : JSON.stringify(arg))).join(" ");
      return `## ${title}\n$ firnline ${shown.replaceAll(CANARY, "PASSWORD")}\n${settled(stderr)}exit code ${code}\n`;
    });
    await expect(sections.join("\n")).toMatchFileSnapshot("../golden/cli-messages.txt");
  });

  it.each(Object.keys(CASES))("%s: one line an error, on standard error alone, without a secret", (title) => {
    const { code, signal, stdout, stderr } = text.get(title) as Ending;
    expect({ stdout, signal }).toEqual({ stdout: "", signal: null });
    expect([1, 2, 12]).toContain(code);
    expect(stderr.endsWith("\n")).toBe(true);
    for (const line of stderr.trimEnd().split("\n")) {
      expect(line).toMatch(/^E_[A-Z_]+ [^:]+.*: .+\. .+\.$/);
      expect(line).not.toMatch(/\p{Cc}|undefined|\[object|E_INTERNAL/u);
      expect(line.length).toBeLessThan(600);
    }
    expect(stderr).not.toContain(CANARY);
  });

  it.each(AS_JSON)("%s: the same as JSON lines, on standard output alone", (title) => {
    const { code, stdout, stderr } = json.get(title) as Ending;
    const expected = text.get(title) as Ending;
    const lines = stdout.trimEnd().split("\n");
    const errors = lines.map((line) => (JSON.parse(line) as { error: Record<string, string> }).error);
    expect({ code, stderr }).toEqual({ code: expected.code, stderr: "" });
    const told = expected.stderr.trimEnd().split("\n");
    expect(errors.map(({ code: kind }) => kind)).toEqual(told.map((line) => line.split(" ")[0]));
    for (const error of errors) {
      expect(Object.keys(error)).toEqual(["code", "subject", "problem", "hint", "message"]);
    }
    expect(stdout).not.toContain(CANARY);
  });
});
