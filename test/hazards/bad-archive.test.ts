/**
 * Bad input, section 3 of the hazards: what stands in an archive and is not Firnline's, clocks that disagree, and no space
 * for what a retrieval keeps aside. In the words of `test/golden/bad-archive.txt`; nothing changes.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { JournalEntry } from "../../src/segment/journal.ts";
import { CommandLine, MAIN } from "../cli/command-line.ts";
import { everything, fill, YEAR } from "../cli/on-scenario.ts";
import { Forgery } from "../support/archive-forgery.ts";
import { auditRows } from "../support/audit-rows.ts";
import { AS_OF, type Environ, Scenario, SMALL } from "../support/scenario.ts";
import { RUN } from "./bad-input.ts";
import { command } from "./in-process.ts";

const golden = new Map<string, string>();
let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create();
  await fill(template);
});
afterAll(async () => await template?.[Symbol.asyncDispose]());
afterEach(() => void vi.restoreAllMocks());

const shown = (text: string, scenario: Scenario): string =>
  text
    .replaceAll(scenario.database, "DATABASE")
    .replaceAll(scenario.folder, "/FOLDER")
    .replaceAll(/\d{12}-[0-9a-f]{16}/g, "SEGMENT")
    .replaceAll(/\b[0-9a-f]{64}\b/g, "SHA256")
    .replaceAll(/firnline-spool-\w+/g, "firnline-spool-NAME")
    .replaceAll(/\d+(?:\.\d+)? KiB/g, "N KiB")
    .replaceAll(/\d+ seconds (behind|ahead)/g, "N seconds $1");

/** Each command's answer; none of them may change anything. */
async function ask(
  title: string,
  scenario: Scenario,
  commands: readonly (readonly string[])[],
  { environ = {}, codes }: { readonly environ?: Environ; readonly codes: readonly number[] },
): Promise<string> {
  const before = [await everything(scenario), await scenario.answers()];
  const texts: string[] = [];
  const found: number[] = [];
  for (const args of commands) {
    const words = args.map((word) => (word === "OUT" ? join(scenario.folder, "OUT") : word));
    const { code, lines } = await command([...words, "--folder", scenario.policies], {
      DATABASE_URL: scenario.url,
      ...SMALL,
      ...environ,
    });
    found.push(code);
    texts.push([`$ firnline ${words.join(" ")}`, ...lines, `exit code ${code}`].join("\n"));
  }
  const text = shown(texts.join("\n"), scenario);
  golden.set(title, text);
  expect(text).not.toMatch(/^ {4}at |undefined|E_INTERNAL/m);
  expect(found, text).toEqual(codes);
  expect(unread([await everything(scenario), await scenario.answers()])).toEqual(unread(before));
  return text;
}

/** A retrieval that is refused is on record, and a rebuild that is refused had the lease for a moment. */
function unread([state, files]: readonly unknown[]): unknown {
  const { rows, archive } = state as Awaited<ReturnType<typeof everything>>;
  const { "firnline.retrieval": _asked, "firnline.pipeline": _leased, ...others } = rows;
  return { rows: others, archive, files };
}

const RETRIEVE = ["retrieve", "audit-logs", ...YEAR, "--out", "OUT"];

describe("an archive", () => {
  /** Archived, and then forged as if a program of its kind had written it: journal and catalog agree with it. */
  async function forged(forge: (forgery: Forgery, scenario: Scenario) => Promise<void>): Promise<Scenario> {
    const scenario = await template.copy({ tiers: { hot: { keep: "30d" }, warm: { keep: "365d" } } });
    await scenario.run();
    const forgery = new Forgery(scenario.archive, "audit_logs");
    await forge(forgery, scenario);
    const entries = await forgery.journal();
    const head = await forgery.read(forgery.journalKey(entries.length));
    await scenario.query("UPDATE firnline.pipeline SET journal_sha256 = $1", [
      createHash("sha256").update(head).digest("hex"),
    ]);
    for (const { segment, object, manifest } of await forgery.sealed()) {
      await scenario.query(
        `UPDATE firnline.segment SET bytes = $2, manifest_sha256 = decode($3, 'hex'), manifest_bytes = $4
         WHERE segment = $1`,
        [segment, object.bytes, manifest.sha256, manifest.bytes],
      );
    }
    return scenario;
  }

  it("with a manifest of an unknown version is E_FORMAT", async () => {
    await using scenario = await forged(async (forgery) => {
      const [first] = await forgery.sealed();
      if (first === undefined) throw new Error("nothing is sealed");
      await forgery.reseal(first, await forgery.read(first.object.key), (manifest) => ({
        ...manifest,
        format: 2 as never,
      }));
    });
    const commands = [RETRIEVE, ["verify", "--deep"]];
    expect(await ask("E_FORMAT: unknown manifest version", scenario, commands, { codes: [1, 1] })).toMatch(
      /^E_FORMAT /m,
    );
  });

  it("with a Parquet file of another writer is E_FORMAT", async () => {
    await using scenario = await forged(async (forgery, { folder }) => {
      const [first] = await forgery.sealed();
      if (first === undefined) throw new Error("nothing is sealed");
      const foreign = join(folder, "foreign.parquet");
      const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
      await duckdb.run(
        `COPY (SELECT * FROM '${join(forgery.root, first.object.key)}') TO '${foreign}' (FORMAT parquet, COMPRESSION snappy)`,
      );
      await forgery.reseal(first, await readFile(foreign), (manifest) => manifest);
    });
    const commands = [RETRIEVE, ["verify", "--deep"]];
    expect(await ask("E_FORMAT: foreign Parquet", scenario, commands, { codes: [1, 1] })).toMatch(
      /^E_FORMAT /m,
    );
  });

  it("with an entry of the journal of a later version is not what the catalog can be made of", async () => {
    await using scenario = await forged(async (forgery) => {
      const entries = await forgery.journal();
      const last = entries.at(-1) as JournalEntry;
      await forgery.writeJournal([...entries.slice(0, -1), { ...last, format: 2 as never }]);
    });
    await scenario.query(auditRowsOf("2026-01-12"));
    const commands = [["catalog", "rebuild", "audit-logs", "--yes"], ["verify"]];
    expect(
      await ask("E_VERIFY: a journal of a later version", scenario, commands, { codes: [1, 1] }),
    ).toMatch(/^E_VERIFY .+journal format 2/m);
  });
});

const auditRowsOf = (day: string): string => `INSERT INTO audit_logs ${auditRows(day, 7001, 5)}`;

describe("clocks", () => {
  it.each([
    ["ahead", 61_500],
    ["behind", -90_000],
  ])("of which this host's is %s by more than 60 s are E_CLOCK", async (word, ms) => {
    await using scenario = await template.copy();
    const { now } = Date;
    vi.spyOn(Date, "now").mockImplementation(() => now() + ms);
    const title = `E_CLOCK: this host and the database, ${word}`;
    expect(await ask(title, scenario, [["doctor"], RUN], { codes: [12, 12] })).toMatch(/^E_CLOCK /m);
  });
});

describe("no space", () => {
  it("for the hot rows that a retrieval keeps aside is E_CAPACITY, and leaves no file", async () => {
    await using scenario = await template.copy();
    await scenario.query(`INSERT INTO audit_logs ${auditRows("2026-02-21", 10_001, 2_000)}`);
    await scenario.run({ asOf: AS_OF });
    // A limit of the operating system on the size of files stands for a disk that is full.
    const limited = ["sh", "-c", 'ulimit -f 64; exec "$0" "$@"', process.execPath, MAIN];
    const args = [
      "retrieve",
      "audit-logs",
      ...YEAR,
      "--out",
      join(scenario.folder, "OUT"),
      "--folder",
      scenario.policies,
    ];
    const before = await scenario.answers();
    await using process_ = new CommandLine(args, {
      program: limited,
      environ: {
        DATABASE_URL: scenario.url,
        ...SMALL,
        NODE_DISABLE_COMPILE_CACHE: "1",
        FIRNLINE_TMPDIR: scenario.folder,
      },
    });
    const { code, stdout, stderr } = await process_.ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    golden.set("E_CAPACITY: temp space", shown(`$ firnline retrieve ...\n${stderr}exit code 1`, scenario));
    expect(stderr).toMatch(/^E_CAPACITY .+EFBIG.+\. .+FIRNLINE_TMPDIR\.$/m);
    expect(await scenario.answers()).toEqual(before);
  });
});

it("all of it is answered in the words that are written down", async ({ skip }) => {
  if (golden.size < 6) skip("not every case was asked for");
  const text = [...golden].map(([title, answer]) => `## ${title}\n${answer}\n`).join("\n");
  await expect(text).toMatchFileSnapshot("../golden/bad-archive.txt");
});
