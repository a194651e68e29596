/**
 * Databases that are not there, or not for us: one clear line, nothing changed, and the password never comes back, not
 * even with --debug.
 */
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { runAlone } from "../support/postgres.ts";
import { AS_OF, LAST_DUE, Scenario } from "../support/scenario.ts";
import { type Ending, firnline } from "./command-line.ts";

/** Hostile to URLs, to regular expressions and to shells; percent-encoded it is a good password. */
const CANARY = "c4nary$ecret%&/?'\"";

let scenario: Scenario;
let role: string;

beforeAll(async () => {
  scenario = await Scenario.create();
  await scenario.insert(auditRows(LAST_DUE, 1, 40));
  role = `stranger_of_${scenario.database}`;
  await scenario.query(`CREATE ROLE ${role} LOGIN PASSWORD 'another one'`);
});

afterAll(async () => {
  await scenario?.query(`DROP ROLE IF EXISTS ${role}`);
  await scenario?.[Symbol.asyncDispose]();
});

function url(changes: {
  user?: string;
  password?: string;
  host?: string;
  database?: string;
  query?: string;
}): string {
  const changed = new URL(scenario.url);
  if (changes.user !== undefined) changed.username = changes.user;
  changed.password = encodeURIComponent(changes.password ?? CANARY);
  if (changes.host !== undefined) changed.host = changes.host;
  if (changes.database !== undefined) changed.pathname = changes.database;
  return `${changed.href}${changes.query ?? ""}`;
}

async function cli(databaseUrl: string, ...args: readonly string[]): Promise<Ending> {
  const environ = { DATABASE_URL: databaseUrl };
  return await firnline([...args, "--folder", scenario.policies], { environ });
}

const ownPassword = (): string => decodeURIComponent(new URL(scenario.url).password);

type Case = readonly [what: string, url: () => string, code: number, message: RegExp];

const CASES: readonly Case[] = [
  [
    "a wrong password",
    () => url({}),
    1,
    /^E_DATABASE postgres: connect: password authentication failed .+ Check user and password in the connection variable\.$/,
  ],
  [
    "an unknown user",
    () => url({ user: "nobody_of_that_name" }),
    1,
    /^E_DATABASE postgres: connect: password authentication failed/,
  ],
  [
    "an unknown database",
    () => url({ password: ownPassword(), database: "/nonesuch" }),
    1,
    /^E_DATABASE postgres: connect: database "nonesuch" does not exist\. Check the database name/,
  ],
  [
    "a port where nobody listens",
    () => url({ host: "127.0.0.1:1" }),
    1,
    /^E_DATABASE postgres: connect: ECONNREFUSED 127\.0\.0\.1:1\. Check that the server runs/,
  ],
  [
    "a host with several addresses where nobody listens",
    () => url({ host: "localhost:1" }),
    1,
    /^E_DATABASE postgres: connect: .*ECONNREFUSED 127\.0\.0\.1:1\b.*\. Check that the server runs/,
  ],
  [
    "a host that does not exist",
    () => url({ host: "nonesuch.invalid" }),
    1,
    /^E_DATABASE postgres: connect: getaddrinfo (?:ENOTFOUND|EAI_AGAIN) nonesuch\.invalid\. /,
  ],
  [
    "a socket that does not exist",
    () => url({ query: "?host=/nonexistent" }),
    1,
    /^E_DATABASE postgres: connect: ENOENT \/nonexistent\/\.s\.PGSQL\.\d+\. Check the paths/,
  ],
  [
    "a certificate that does not exist",
    () => url({ query: "?sslmode=verify-full&sslrootcert=/nonexistent.crt" }),
    1,
    /^E_DATABASE postgres: connect: ENOENT: .+nonexistent\.crt'\. Check the paths/,
  ],
  [
    "a server without TLS",
    () => url({ query: "?sslmode=verify-full" }),
    1,
    /^E_DATABASE postgres: connect: The server does not support SSL connections\. Check sslmode/,
  ],
];

describe.each(CASES)("%s", (_what, databaseUrl, code, message) => {
  it.each([
    ["plan", ["plan"]],
    ["run", ["run", "--as-of", AS_OF]],
  ])("%s says so in one line", async (_name, args) => {
    const before = await scenario.query(
      "SELECT (SELECT count(*) FROM public.audit_logs) AS rows, (SELECT count(*) FROM firnline.pipeline) AS known",
    );
    const ending = await cli(databaseUrl(), ...args);
    expect({ code: ending.code, stdout: ending.stdout }).toEqual({ code, stdout: "" });
    expect(ending.stderr.trimEnd()).toMatch(message);
    expect(ending.stderr.split("\n")).toHaveLength(2);
    expect(
      await scenario.query(
        "SELECT (SELECT count(*) FROM public.audit_logs) AS rows, (SELECT count(*) FROM firnline.pipeline) AS known",
      ),
    ).toEqual(before);
    expect(await readdir(scenario.archive).catch(() => [])).toEqual([]);
  });

  it("shows a stack with --debug, and the password nowhere", async () => {
    const text = await cli(databaseUrl(), "status", "--debug");
    expect(text.stderr).toMatch(/\n {4}at .+\.ts:\d+/);
    const json = await cli(databaseUrl(), "status", "--debug", "--json");
    expect(
      json.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).error.code),
    ).toEqual([text.stderr.split(" ")[0]]);
    for (const output of [text.stdout, text.stderr, json.stdout, json.stderr]) {
      for (const secret of [CANARY, encodeURIComponent(CANARY), "c4nary", ownPassword(), "another one"]) {
        expect(output).not.toContain(secret);
      }
    }
  });
});

describe("a server that is not Postgres", () => {
  it.each([
    ["hangs up", "", /Connection terminated unexpectedly/],
    ["speaks HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", /./],
  ])("%s", async (_what, greeting, message) => {
    const server = createServer((socket) => socket.on("error", () => {}).end(greeting)).listen(
      0,
      "127.0.0.1",
    );
    await once(server, "listening");
    try {
      const { port } = server.address() as AddressInfo;
      const { code, stdout, stderr } = await cli(url({ host: `127.0.0.1:${port}` }), "plan");
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^E_DATABASE postgres: connect: .+\. .+\.\n$/);
      expect(stderr).toMatch(message);
    } finally {
      server.close();
    }
  });
});

it("a role without grants is told which are missing, all at once", async () => {
  const theirs = url({ user: role, password: "another one" });
  const plan = await cli(theirs, "plan");
  expect({ code: plan.code, stdout: plan.stdout }).toEqual({ code: 12, stdout: "" });
  expect(plan.stderr).toMatch(
    /^E_VISIBILITY public\.audit_logs: this role may not SELECT\. .+\.\nE_VISIBILITY .+ may not DELETE\. .+\.\n$/,
  );
  const denied = await cli(theirs, "migrate");
  expect(denied).toMatchObject({
    code: 12,
    stdout: "",
    stderr:
      "E_VISIBILITY postgres: version: permission denied for schema firnline. " +
      "Grant the missing privilege to Firnline's role.\n",
  });
  const run = await cli(theirs, "run");
  expect(run).toMatchObject({ code: 12, stdout: "" });
  expect(run.stderr).toMatch(
    /^E_VISIBILITY schema firnline: .+ that a run needs \(USAGE on the schema, SELECT on chunk, .+\.\n$/,
  );
});

it("a run that goes well leaves the password neither in the catalog nor in the archive", async () => {
  const password = `Zz-${CANARY}`;
  await runAlone(scenario.url, `ALTER ROLE ${role} SUPERUSER PASSWORD '${password.replaceAll("'", "''")}'`);
  const own = url({ user: role, password });
  expect(await cli(own, "run", "--as-of", AS_OF)).toMatchObject({ code: 0 });
  const out = join(scenario.folder, "answer");
  const asked = ["retrieve", "audit-logs", "--from", "2026-01-01", "--to", "2026-02-01", "--out", out];
  expect(await cli(own, ...asked)).toMatchObject({ code: 0 });
  const places: string[] = [];
  for (const name of await readdir(scenario.archive, { recursive: true })) {
    places.push(name, await readFile(join(scenario.archive, name), "latin1").catch(() => ""));
  }
  for (const table of ["pipeline", "segment", "run", "outbox", "retrieval"]) {
    places.push(JSON.stringify(await scenario.query(`SELECT to_jsonb(t) AS row FROM firnline.${table} t`)));
  }
  expect(places.filter((place) => place.includes("c4nary") || place.includes(role))).toEqual([]);
});
