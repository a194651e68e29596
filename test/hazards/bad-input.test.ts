/**
 * Bad input, as section 3 of the hazards lists it: each is really built, on PostgreSQL 18 and 15, and answered by the
 * command line in the words of `test/golden/bad-input.txt` (`vitest run -u` writes it anew; read the difference), with
 * the exit code of the design, without a stack trace, and with nothing changed. What a store does wrong is in
 * `bad-store.test.ts`.
 */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { everything, fill, start } from "../cli/on-scenario.ts";
import { createDatabase, runAlone } from "../support/postgres.ts";
import { startMajor } from "../support/postgres-majors.ts";
import { at, type Environ, Scenario, SMALL } from "../support/scenario.ts";
import { BAD_INPUT, type BadInput, DOCTOR, RUN } from "./bad-input.ts";
import { BAD_SERVERS, type BadServer } from "./bad-server.ts";
import { type Answer, command } from "./in-process.ts";
import { SECTION_3 } from "./section-3.ts";

/** A prepared transaction is waited for so long. */
const QUICK = { FIRNLINE_LOCK_TIMEOUT_MS: "150" } as const;
const ELSEWHERE: ReadonlySet<string> = new Set(["E_BUCKET", "E_CAPACITY", "E_CLOCK", "E_FORMAT"]);

const titleOf = ({ code, what }: Pick<BadInput, "code" | "what">): string => `${code}: ${what}`;

/** Rows of every table, every object of the database, every file of the archive and beside it. */
async function stateOf(scenario: Scenario): Promise<unknown> {
  const [objects] = await scenario.query(
    `SELECT (SELECT count(*) FROM pg_class) AS relations, (SELECT count(*) FROM pg_type) AS types,
            (SELECT count(*) FROM pg_depend) AS dependencies, (SELECT count(*) FROM pg_namespace) AS schemas`,
  );
  const { rows, archive } = await everything(scenario);
  // A run that is refused once it has looked at the archive has said who it is.
  const { "firnline.pipeline": _registered, "firnline.run": _refused, ...others } = rows;
  return { objects, archive, rows: others, files: await scenario.answers() };
}

/** The command's answer as a person reads it, with one name for all databases, folders and roles of tests. */
function shown(args: readonly string[], { code, lines }: Answer, scenario: Scenario, role: string): string {
  const text = [`$ firnline ${args.join(" ")}`, ...lines, `exit code ${code}`].join("\n");
  return text
    .replaceAll(scenario.database, "DATABASE")
    .replaceAll(scenario.folder, "/FOLDER")
    .replaceAll(role, "ROLE")
    .replaceAll(/pg_temp_\d+/g, "pg_temp_N")
    .replaceAll(/\d+ (seconds?) ago/g, "N seconds ago")
    .replaceAll(/(now by )[\d.]+/g, "$1VERSION")
    .replaceAll(/(Known are FIRNLINE)[^\n]+/g, "$1... and so on.");
}

/** What every answer keeps to, whatever is wrong. */
function expectClear(text: string): void {
  expect(text).not.toMatch(/^ {4}at |node:internal|\.ts:\d|undefined|\[object|E_INTERNAL/m);
  const errors = text.split("\n").filter((line) => line.startsWith("E_"));
  for (const line of errors) expect(line).toMatch(/^E_[A-Z_]+ [^:]+.*: .+\. .+\.$/);
}

describe("the list of bad input", () => {
  it("is section 3 of the hazards, whole, and says where it goes by another code and why", () => {
    // The row of more than 1 GB is no refusal: it keeps its own partition, see `values.test.ts`.
    const built = new Set([...[...BAD_INPUT, ...BAD_SERVERS].map(titleOf), "E_TYPE: row over 1 GB"]);
    const listed = Object.entries(SECTION_3).flatMap(([code, cases]) =>
      ELSEWHERE.has(code) ? [] : cases.map((what) => `${code}: ${what}`),
    );
    expect([...built].sort()).toEqual([...listed].sort());
  });
});

/** What was answered on the first server, which the second one's answers have to be. */
const golden = new Map<string, string>();

describe.each([18, 15] as const)("on PostgreSQL %i", (major) => {
  let server: EmbeddedPostgres;
  let template: Scenario;
  const role = `firnline_bad_${randomBytes(6).toString("hex")}`;

  beforeAll(async () => {
    server = await startMajor(major);
    template = await Scenario.on(await createDatabase(server.url()));
    await template.prepare();
    await fill(template);
    await template.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA firnline TO ${role};
       GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA firnline TO ${role};
       GRANT USAGE ON ALL SEQUENCES IN SCHEMA firnline TO ${role}`,
    );
  });
  afterAll(async () => {
    await template?.[Symbol.asyncDispose]();
    await server?.stop();
  });

  /** Asks, holds what came against the rules for all answers, and sees that nothing changed. */
  async function ask(bad: BadInput | BadServer, scenario: Scenario, environ: Environ): Promise<string> {
    const before = await stateOf(scenario);
    const answers: string[] = [];
    let worst = 0;
    for (const args of bad.commands ?? [DOCTOR, RUN]) {
      const words = args.map((word) => (word === "OUT" ? join(scenario.folder, "OUT") : word));
      const answer = await command([...words, "--folder", scenario.policies], environ);
      answers.push(shown(words, answer, scenario, role));
      worst = Math.max(worst, answer.code);
    }
    const text = answers.join("\n");
    expectClear(text);
    expect(await stateOf(scenario)).toEqual(before);
    const told = bad.told?.code ?? bad.code;
    expect(text).toMatch(told === "held" ? / cannot be dropped / : new RegExp(`^${told} `, "m"));
    if (told.startsWith("E_")) expect(worst, text).toBe(told === "E_INPUT" ? 2 : 12);
    return text;
  }

  function expectWritten(title: string, text: string): void {
    const known = golden.get(title);
    if (known === undefined) golden.set(title, text);
    else expect(text).toBe(known);
  }

  // What no server has a part in needs to be asked once.
  const sections = [
    ...Map.groupBy(
      BAD_INPUT.filter(({ sql, build }) => major === 18 || sql !== undefined || build !== undefined),
      titleOf,
    ),
  ];
  it.each(sections)("%s", async (title, cases) => {
    const texts: string[] = [];
    for (const bad of cases) {
      await using scenario = await template.copy(bad.options);
      if (bad.sql !== undefined) await scenario.query(bad.sql.replaceAll("ROLE", role));
      await bad.build?.(scenario);
      if (bad.what === "temporary") await nameTemporary(scenario);
      const url = new URL(scenario.url);
      if (bad.asRole === true) [url.username, url.password] = [role, "secret"];
      texts.push(await ask(bad, scenario, { DATABASE_URL: url.href, ...SMALL, ...QUICK, ...bad.environ }));
    }
    expectWritten(title, texts.join("\n"));
  });

  /** A session's own table can be named by nobody but with the number of its schema. */
  async function nameTemporary(scenario: Scenario): Promise<void> {
    const [row] = await scenario.query("SELECT pg_my_temp_schema()::regnamespace::text AS name");
    const policy = scenario.policyText.replace("public.audit_logs", `${row?.["name"]}.audit_logs`);
    await writeFile(join(scenario.policies, "audit-logs.yaml"), policy);
  }

  it.each(BAD_SERVERS)("$code: $what", async (bad) => {
    const name = `bad_${randomBytes(6).toString("hex")}`;
    await runAlone(
      server.url(),
      `CREATE DATABASE ${name} TEMPLATE template0 ${bad.database ?? "ENCODING 'UTF8' LOCALE 'C'"}`,
    );
    const drop = async (): Promise<void> => {
      await runAlone(server.url(), `DROP DATABASE ${name} WITH (FORCE)`);
    };
    await using scenario = await Scenario.on({
      url: at(server.url(), name),
      name,
      [Symbol.asyncDispose]: drop,
    });
    await scenario.prepare();
    await fill(scenario);
    await using damage = new AsyncDisposableStack();
    damage.defer(async () => void (await bad.repair?.(server, scenario)));
    await bad.build?.(server, scenario);
    expectWritten(titleOf(bad), await ask(bad, scenario, { DATABASE_URL: scenario.url, ...SMALL, ...QUICK }));
    await scenario.disconnect();
  });
});

it("all of it is answered in the words that are written down", async ({ skip }) => {
  const titles = [...new Set([...BAD_INPUT, ...BAD_SERVERS].map(titleOf))];
  if (golden.size < titles.length) skip("not every case was asked for");
  const text = titles.map((title) => `## ${title}\n${golden.get(title)}\n`).join("\n");
  await expect(text).toMatchFileSnapshot("../golden/bad-input.txt");
});

describe("a process", () => {
  let template: Scenario;
  beforeAll(async () => {
    template = await Scenario.create();
    await fill(template);
  });
  afterAll(async () => await template?.[Symbol.asyncDispose]());

  /** The first case of each code that needs neither a role nor a session of its own. */
  const firsts = [
    ...Map.groupBy(
      BAD_INPUT.filter((bad) => bad.asRole === undefined),
      ({ code }) => code,
    ).values(),
  ].map(([first]) => first as BadInput);

  it.each(firsts)(
    "says the same of $code: $what, on standard error alone, and with --debug where it comes from",
    async (bad) => {
      await using scenario = await template.copy(bad.options);
      if (bad.sql !== undefined) await scenario.query(bad.sql);
      await bad.build?.(scenario);
      const before = await stateOf(scenario);
      const args = bad.commands?.at(-1) ?? RUN;
      const environ = { ...QUICK, ...bad.environ };
      const expected = await command([...args, "--folder", scenario.policies], {
        DATABASE_URL: scenario.url,
        ...SMALL,
        ...environ,
      });
      const ending = await start(scenario, args, environ).ended;
      expect(ending).toMatchObject({ code: expected.code, signal: null });
      const lines = `${ending.stdout}${ending.stderr}`.trimEnd().split("\n");
      // How long it took differs.
      const timeless = (all: readonly string[]): string => all.join("\n").replaceAll(/\d+\.\d s\)/g, "N s)");
      expect(timeless(lines)).toBe(timeless(expected.lines));
      if (expected.code !== 0) {
        expect(ending.stdout).toBe("");
        const debug = await start(scenario, [...args, "--debug"], environ).ended;
        expect(debug.code).toBe(expected.code);
        expect(debug.stderr).toMatch(/^ {4}at /m);
      }
      expect(await stateOf(scenario)).toEqual(before);
    },
  );
});
