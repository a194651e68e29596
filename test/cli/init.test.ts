/** `firnline init` on a real database: what it lists, what it proposes, and that a plan takes what it wrote. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parsePolicy } from "../../src/policy/policy.ts";
import { AUDIT_LOGS, auditRows } from "../support/audit-rows.ts";
import { createDatabase } from "../support/postgres.ts";
import { type Ending, type Environ, firnline, jsonLines } from "./command-line.ts";

/** Breaks lines, quotes, YAML, shells and terminals. */
const HOSTILE = `a"; drop table x; --\n# }: \u001b[31m'$(x)`;
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const DDL = `${AUDIT_LOGS};
  INSERT INTO public.audit_logs ${auditRows("2025-11-03", 1, 1000)};
  INSERT INTO public.audit_logs ${auditRows("2026-01-20", 2001, 2000)};
  INSERT INTO public.audit_logs ${auditRows("2026-02-01", 5001, 500)};
  CREATE SCHEMA billing;
  CREATE DOMAIN billing.moment AS timestamptz;
  CREATE TABLE billing.events (tenant int NOT NULL, ref text NOT NULL, updated_at timestamptz NOT NULL,
    occurred_at billing.moment NOT NULL, UNIQUE (tenant, ref));
  INSERT INTO billing.events SELECT n, 'r', now(), '2026-02-10 00:00+00'::timestamptz FROM generate_series(1, 300) n;
  CREATE TABLE public.plain_times (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), created_at timestamp NOT NULL);
  CREATE INDEX ON public.plain_times (created_at);
  INSERT INTO public.plain_times (created_at) SELECT '2026-02-10 23:30'::timestamp FROM generate_series(1, 50);
  INSERT INTO public.plain_times (created_at) VALUES ('infinity'), ('-infinity'), ('0044-03-15 00:00 BC');
  CREATE TABLE public.${quoted(HOSTILE)} (${quoted(HOSTILE)} bigint PRIMARY KEY, "true" timestamptz NOT NULL);
  INSERT INTO public.${quoted(HOSTILE)} VALUES (1, '2026-02-10 00:00+00');
  CREATE TABLE public.watched (id int PRIMARY KEY, ts timestamptz NOT NULL);
  CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
  CREATE TRIGGER watch BEFORE DELETE ON public.watched FOR EACH ROW EXECUTE FUNCTION public.watch();
  CREATE TABLE public.keyless (id int, ts timestamptz);
  CREATE TABLE public.partial_key (id int NOT NULL, ts timestamptz);
  CREATE UNIQUE INDEX ON public.partial_key (id) WHERE id > 0;
  CREATE TABLE public.timeless (id int PRIMARY KEY, day date);
  CREATE TABLE public.numeric_key (id numeric PRIMARY KEY, ts timestamptz);
  CREATE TABLE public.parent (id int PRIMARY KEY, ts timestamptz); CREATE TABLE public.child () INHERITS (public.parent);
  CREATE UNLOGGED TABLE public.unlogged (id int PRIMARY KEY, ts timestamptz);
  CREATE VIEW public.seen AS SELECT * FROM public.audit_logs;
  CREATE TABLE public.parts (id bigint, ts timestamptz NOT NULL, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
  CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES FROM ('2026-01-01+00') TO ('2026-02-01+00');
  CREATE TABLE public.parts_2 PARTITION OF public.parts FOR VALUES FROM ('2026-02-01+00') TO ('2026-03-01+00');
  INSERT INTO public.parts SELECT n, '2026-01-15 00:00+00'::timestamptz + n * interval '1 day' FROM generate_series(1, 28) n`;

const cleanup = new AsyncDisposableStack();
let url = "";
let folder = "";
let client: pg.Client;

beforeAll(async () => {
  url = cleanup.use(await createDatabase()).url;
  folder = await mkdtemp(join(tmpdir(), "firnline-init-"));
  cleanup.defer(async () => await rm(folder, { recursive: true }));
  client = new pg.Client(url);
  await client.connect();
  cleanup.defer(async () => await client.end());
  await client.query(DDL);
});

afterAll(async () => await cleanup.disposeAsync());

async function init(args: readonly string[], environ: Environ = {}): Promise<Ending> {
  return await firnline(["init", ...args], { environ: { DATABASE_URL: url, ...environ }, cwd: folder });
}

/** Sizes and the padding of tables differ between versions of Postgres. */
const settled = (text: string): string[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) =>
      line
        .replaceAll(/\d[\d.]* [KM]?i?B/g, "SIZE")
        .replaceAll(/ {2,}/g, "  ")
        .replaceAll(/-{4,}/g, "----"),
    );

describe("firnline init without a table", () => {
  it("lists the tables that could be moved, largest first, with sizes and rows by month", async () => {
    const { code, stdout, stderr } = await init([]);
    expect(code).toBe(0);
    const hostile = `public."a""; drop table x; --?# }: ?[31m'$(x)"`;
    expect(settled(stdout)).toEqual([
      "table  rows  size  time  key  rows by month",
      "----  ----  ----  ----  ----  ----",
      "public.audit_logs  3,500  SIZE  ts  id  2025-11 =_#: 2026-02",
      "billing.events  300  SIZE  occurred_at  tenant, ref  - 2026-02",
      "public.parts  28  SIZE  ts  id, ts  2026-01 #_ 2026-02",
      "public.plain_times  53  SIZE  created_at  id  - 2026-02",
      `${hostile}  1  SIZE  true  ${hostile.slice(7)}  - 2026-02`,
      "public.watched  0  SIZE  ts  id",
      expect.stringMatching(
        /^not public.numeric_key \(SIZE\): no unique, valid index is over NOT NULL columns of/,
      ),
      "not public.parent (SIZE): it takes part in table inheritance",
      expect.stringMatching(/^not public.partial_key \(SIZE\): no unique/),
      "not public.timeless (SIZE): no column is a timestamptz or a timestamp, so that nothing says how old a row is",
      "not public.child (SIZE): it takes part in table inheritance",
      expect.stringMatching(/^not public.keyless \(SIZE\): no unique/),
    ]);
    expect(stderr).toBe("next: firnline init --table public.audit_logs\n");
  });

  it("draws blocks where the locale says that they are read", async () => {
    const { stdout } = await init([], { LANG: "de_DE.UTF-8" });
    expect(stdout).toMatch(/2025-11 ▅▁█▃ 2026-02/);
    expect((await init([], { LANG: "de_DE.UTF-8", LC_ALL: "C" })).stdout).not.toMatch(/[▁-█]/);
  });

  it("tells machines each table, with months as numbers", async () => {
    const { code, stdout, stderr } = await init(["--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = jsonLines(stdout);
    expect(lines[0]).toEqual({
      table: "public.audit_logs",
      bytes: expect.stringMatching(/^\d+$/),
      partitions: null,
      times: [{ name: "ts", type: "timestamptz", notNull: true, index: "ix_audit_logs_ts" }],
      key: ["id"],
      time: "ts",
      rows: "3500",
      isCounted: true,
      outside: "0",
      months: [
        { month: "2025-11", rows: "1000" },
        { month: "2025-12", rows: "0" },
        { month: "2026-01", rows: "2000" },
        { month: "2026-02", rows: "500" },
      ],
    });
    expect(lines).toHaveLength(12);
    expect(lines.at(-1)).toMatchObject({ table: "public.keyless", key: null, obstacle: { code: "E_KEY" } });
  });

  it("says so where there is nothing", async () => {
    await using empty = await createDatabase();
    const { code, stdout, stderr } = await init([], { DATABASE_URL: empty.url });
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: "no table has rows of a known age and a key\n",
      stderr: "",
    });
  });
});

describe("firnline init with a table", () => {
  it("proposes a policy on standard output, and says the rest beside it", async () => {
    const { code, stdout, stderr } = await init([
      "--table",
      "public.audit_logs",
      "--archive",
      "s3://acme-audit/firnline",
    ]);
    expect(code).toBe(0);
    const [about, made, ...rest] = stdout.split("\n");
    expect(about).toMatch(
      /^# public\.audit_logs: 3,500 rows, .* with indexes and TOAST, 2025-11-03 \.\. 2026-02-01\.$/,
    );
    expect(made).toMatch(/^# Proposed by `firnline init` on \d{4}-\d\d-\d\d; nothing runs by itself\.$/);
    expect(rest.join("\n")).toContain(
      "\n  # When a row happened: timestamptz; NOT NULL; index ix_audit_logs_ts begins with it.\n  time: ts\n",
    );
    expect(parsePolicy(stdout, "p.yaml")).toMatchObject({
      pipeline: "audit_logs",
      source: { connectionVariable: "DATABASE_URL", time: "ts", key: ["id"] },
      archive: { url: "s3://acme-audit/firnline" },
    });
    expect(settled(stderr).slice(0, 7)).toEqual([
      "public.audit_logs: 3,500 rows, SIZE with indexes and TOAST, 2025-11-03 .. 2026-02-01",
      "  month  rows",
      "  ----  ----  ----",
      "  2026-02  500  ##########",
      "  2026-01  2,000  ########################################",
      "  2025-12  0",
      "  2025-11  1,000  ####################",
    ]);
    expect(stderr).toMatch(/ tier +rows now +after +size now +after +a month now +after\n/);
    expect(stderr).toMatch(/ hot +3,500 +0 /);
    expect(stderr).toMatch(/ warm STANDARD +0 +[\d,]+ /);
    expect(stderr).toMatch(/ prices: USD, us-east-1, /);
  });

  it.each([
    ["public.audit_logs", "audit_logs", []],
    ["billing.events", "billing_events", []],
    ["public.parts", "parts", []],
    [`public.${quoted(HOSTILE)}`, "a_drop_table_x_31m_x", []],
    // Its owner has to say the zone first.
    ["public.plain_times", "plain_times", ["E_POLICY"]],
  ])("writes a file that a plan takes: %j", async (table, pipeline, refused) => {
    const out = join(folder, `${pipeline}.yaml`);
    const archive = pathToFileURL(join(folder, "archive", pipeline)).href;
    const { code, stdout, stderr } = await init(["--table", table, "--archive", archive, "--out", out]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(
      `wrote ${out}: read it, then \`firnline migrate ${out}\` and \`firnline plan ${out}\`\n`,
    );
    const plan = async (): Promise<Ending> =>
      await firnline(["plan", out, "--as-of", "2026-02-01", "--json"], {
        environ: { DATABASE_URL: url },
        cwd: folder,
      });
    const first = await plan();
    const codes = jsonLines(first.stdout).flatMap(
      ({ error }) => (error as { code: string } | undefined)?.code ?? [],
    );
    expect(codes).toEqual(refused);
    if (refused.length > 0) {
      await writeFile(out, (await readFile(out, "utf8")).replace("#zone:", "zone:"));
      expect(await plan()).toMatchObject({ code: 0, stderr: "" });
    }
    expect(parsePolicy(await readFile(out, "utf8"), out)).toMatchObject({
      pipeline,
      archive: { url: archive },
    });
  });

  it("never overwrites a file", async () => {
    const out = join(folder, "taken.yaml");
    await writeFile(out, "mine");
    const { code, stdout, stderr } = await init(["--table", "public.audit_logs", "--out", out]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe(
      `E_INPUT --out ${out}: there is something of that name already. Name a new file; what is there is never overwritten.\n`,
    );
    expect(await readFile(out, "utf8")).toBe("mine");
  });

  it("says what a run would refuse, as the table is now", async () => {
    const { code, stdout, stderr } = await init(["--table", "public.watched"]);
    expect(code).toBe(0);
    expect(parsePolicy(stdout, "p.yaml").pipeline).toBe("watched");
    expect(stderr).toMatch(/^before it can run: E_SIDE_EFFECT triggers run on DELETE: watch\. /m);
    const plain = await init(["--table", "public.plain_times"]);
    expect(plain.stderr).toContain(
      "before it can run: say in the file which zone created_at is written in\n",
    );
    expect(plain.stderr).toContain(
      "3 rows with no time, or one outside of the calendar, stay in the table for ever\n",
    );
    expect(plain.stdout).toContain("\n  #zone: ");
  });

  it("needs no more than to read the table, and changes nothing", async () => {
    await client.query(
      `CREATE ROLE firnline_init_reader LOGIN PASSWORD 'reader';
       GRANT USAGE ON SCHEMA public TO firnline_init_reader;
       GRANT SELECT ON public.audit_logs TO firnline_init_reader`,
    );
    try {
      const reader = new URL(url);
      reader.username = "firnline_init_reader";
      reader.password = "reader";
      const environ = { DATABASE_URL: reader.href };
      const listed = await init([], environ);
      expect(listed.code).toBe(0);
      expect(settled(listed.stdout).slice(2, 4)).toEqual([
        "public.audit_logs  3,500  SIZE  ts  id  2025-11 =_#: 2026-02",
        "not billing.events (SIZE): this role may not read it",
      ]);
      const { code, stdout, stderr } = await init(["--table", "public.audit_logs"], environ);
      expect(code).toBe(0);
      expect(parsePolicy(stdout, "p.yaml").source.time).toBe("ts");
      expect(stderr).toMatch(/^before it can run: E_VISIBILITY this role may not DELETE/m);
      const refused = await init(["--table", "billing.events"], environ);
      expect(refused).toMatchObject({ code: 12, stdout: "" });
      expect(refused.stderr).toMatch(/^E_VISIBILITY billing\.events: this role may not read it\. /);
    } finally {
      await client.query("DROP OWNED BY firnline_init_reader; DROP ROLE firnline_init_reader");
    }
    const { rows } = await client.query("SELECT to_regnamespace('firnline') AS schema");
    expect(rows).toEqual([{ schema: null }]);
  });

  it("tells machines the policy too", async () => {
    const { code, stdout, stderr } = await init(["--table", "billing.events", "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = jsonLines(stdout);
    expect(lines[0]).toMatchObject({
      table: "billing.events",
      time: "occurred_at",
      key: ["tenant", "ref"],
      pipeline: "billing_events",
      out: null,
      findings: [],
    });
    expect(parsePolicy(lines[0]?.["policy"] as string, "p.yaml").source.key).toEqual(["tenant", "ref"]);
    expect(lines.at(-1)).toMatchObject({ pipeline: "billing_events", estimate: { currency: "USD" } });
  });

  it.each([
    [["--table", "audit_logs"], "E_INPUT --table: the schema is missing"],
    [
      ["--table", "public.nothing"],
      'E_INPUT --table "public.nothing": there is no such table that could be moved',
    ],
    [["--table", "public.seen"], 'E_INPUT --table "public.seen": there is no such table that could be moved'],
    [["--table", "public.parts_1"], "E_INPUT --table "],
    [["--table", "public.unlogged"], "E_INPUT --table "],
    [["--table", "pg_catalog.pg_class"], "E_INPUT --table "],
    [
      ["--table", "public.audit_logs", "--archive", "s3://key:secret@bucket"],
      "E_INPUT --archive: the URL holds credentials (not shown)",
    ],
    [
      ["--table", "public.audit_logs", "--out", "/nonexistent/p.yaml"],
      "E_INPUT --out /nonexistent/p.yaml: it cannot be written",
    ],
    [["--out", "p.yaml"], "E_INPUT --out: it needs --table"],
    [
      ["--connection", "postgres://u:p@h/d"],
      "E_INPUT --connection: this looks like a connection string (not shown)",
    ],
    [["--connection", "OTHER_URL"], "E_INPUT OTHER_URL: this variable is not set"],
    [["public.audit_logs"], "E_INPUT firnline init: it takes no names"],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await init(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  it.each([
    ["public.keyless", "E_KEY public.keyless: no unique, valid index"],
    ["public.timeless", "E_TYPE public.timeless: no column is a timestamptz"],
    ["public.child", "E_RELATION public.child: it takes part in table inheritance"],
  ])("refuses a table that cannot be moved, with the reason: %s", async (table, message) => {
    const { code, stdout, stderr } = await init(["--table", table]);
    expect({ code, stdout }).toEqual({ code: 12, stdout: "" });
    expect(stderr).toContain(message);
  });
});
