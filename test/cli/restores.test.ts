/** Cold segments on the command line: what a restore costs is agreed to, waiting survives a kill, `restores` tells. */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  coldHeads,
  createColdDays,
  restoredEntries,
  restoreRows,
  wired,
  writePrices,
} from "../support/cold-days.ts";
import { type Scenario, SMALL } from "../support/scenario.ts";
import { drawn, type Ending, type Environ, firnline, jsonLines, MAIN, screen } from "./command-line.ts";
import { start, YEAR } from "./on-scenario.ts";

let folder: string;
let prices: Environ;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "firnline-prices-"));
  prices = await writePrices(folder);
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

const SLOW = { FIRNLINE_FILE_RESTORE_DELAY_MS: "600000" };

/** Where answers go: nothing else is in it. */
async function answersOf(scenario: Scenario): Promise<string> {
  const answers = join(scenario.folder, "answers");
  await mkdir(answers, { recursive: true });
  return answers;
}

async function retrieve(
  scenario: Scenario,
  args: readonly string[],
  environ: Environ = prices,
): Promise<Ending> {
  const out = join(await answersOf(scenario), "all.ndjson");
  return await start(scenario, ["retrieve", "audit-logs", ...YEAR, "--out", out, ...args], environ).ended;
}

/** For a shell that starts us on a terminal. */
async function terminalEnviron(scenario: Scenario, own: Environ = {}): Promise<Environ> {
  return {
    DATABASE_URL: scenario.url,
    TERM: "xterm",
    NODE: process.execPath,
    MAIN,
    FOLDER: scenario.policies,
    OUT: join(await answersOf(scenario), "all"),
    ...SMALL,
    ...prices,
    ...own,
  };
}

async function states(scenario: Scenario): Promise<string[]> {
  await using own = wired(scenario, {});
  return (await coldHeads(own)).map(({ access }) => access.state);
}

/** Sizes, ids and instants differ from run to run; the text around them does not. */
function steady(text: string, scenario: Scenario): string {
  return text
    .replaceAll(scenario.folder, "FOLDER")
    .replaceAll(/\b[\d.]+ KiB/g, "SIZE")
    .replaceAll(/\b\d{8}-[0-9a-f]{16}\b|\b[0-9a-f]{20,}\b/g, "SEGMENT")
    .replaceAll(/\d{4}-\d{2}-\d{2} \d{2}:\d{2}Z/g, "INSTANT");
}

describe("what a restore costs", () => {
  it("is said, and refused where nobody can be asked and nothing allows it: exit code 2, no file", async () => {
    await using scenario = await createColdDays();
    const told =
      "range: 2025-12-01T00:00:00.000000Z <= ts < 2026-03-01T00:00:00.000000Z\n" +
      "audit_logs: 3 cold segments to restore first, SIZE in DEEP_ARCHIVE\n" +
      "  tier Standard, readable within 12 h, for 3 days, for about $3.00 by the prices of us-east-1\n";
    const refused =
      "E_INPUT pipeline audit_logs: 3 cold segments (SIZE in DEEP_ARCHIVE) must be restored first, for about 3.00 USD by the prices of us-east-1 " +
      "(tier Standard, readable for 3 days), ";
    for (const [args, why] of [
      [[], "and nobody agreed to that"],
      [["--max-cost", "2.99"], "which is more than 2.99 USD"],
    ] as const) {
      const { code, stdout, stderr } = await retrieve(scenario, args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(steady(stderr, scenario)).toBe(
        `${told}${refused}${why}. Nothing was asked of the store. Add --yes or --max-cost 3.00.\n`,
      );
    }
    expect(await readdir(await answersOf(scenario))).toEqual([]);
    expect(await restoreRows(scenario)).toEqual([]);
    expect(await states(scenario)).toEqual(["archived", "archived", "archived"]);

    const enough = await retrieve(scenario, ["--max-cost", "3", "--days", "7"]);
    expect(enough).toMatchObject({ code: 0 });
    expect(enough.stdout).toContain("; 3 cold segments restored\n");
    const again = await retrieve(scenario, []);
    expect({ code: again.code, stderr: again.stderr.split("\n").slice(1) }).toEqual({
      code: 0,
      stderr: [""],
    });
  });

  it("is all that --dry-run tells", async () => {
    await using scenario = await createColdDays();
    const ask = async (...args: string[]): Promise<Ending> => await start(scenario, args, prices).ended;
    const dry = ["--dry-run", ...YEAR];
    const told = await ask("retrieve", "audit-logs", ...dry, "--days", "1");
    expect(told.code).toBe(0);
    expect(steady(told.stdout, scenario)).toBe(
      "audit_logs: 3 cold segments to restore first, SIZE in DEEP_ARCHIVE\n" +
        "  tier Standard, readable within 12 h, for 1 day, for about $3.00 by the prices of us-east-1\n",
    );
    const bulk = await ask("rehydrate", "audit-logs", ...dry, "--tier", "bulk");
    expect(steady(bulk.stdout, scenario)).toBe(
      "audit_logs: 3 cold segments to restore first, SIZE in DEEP_ARCHIVE\n" +
        "  tier Bulk, readable within 2 d, for 3 days, at no cost\n",
    );
    const machine = await ask("retrieve", "audit-logs", ...dry, "--json");
    expect(jsonLines(machine.stdout)).toMatchObject([
      {
        pipeline: "audit_logs",
        quote: {
          segments: { length: 3 },
          bytes: expect.stringMatching(/^\d+$/),
          tier: "Standard",
          days: 3,
          cost: "3",
          currency: "USD",
          minutesMax: 720,
          underWay: 0,
          readable: 0,
        },
      },
    ]);
    const warm = await ask(
      "retrieve",
      "audit-logs",
      "--dry-run",
      "--from",
      "2026-01-01",
      "--to",
      "2026-01-31",
    );
    expect(warm.stdout).toBe("audit_logs: no cold segment needs to be asked for\n");
    expect(await restoreRows(scenario)).toEqual([]);
  });

  it("is asked at a terminal, and only a y goes on", async () => {
    await using scenario = await createColdDays();
    const environ = await terminalEnviron(scenario);
    const type = async (keys: string): Promise<Ending> => {
      const command = `"$NODE" "$MAIN" retrieve audit-logs --folder "$FOLDER" --out "$OUT" ${YEAR.join(" ")}`;
      const line = `stty cols 120 -opost -echo; ${command}`;
      const script = `printf '${keys}' | script --quiet --return --command '${line}' /dev/null`;
      return await firnline(["-c", script], { program: ["/bin/sh"], environ });
    };
    const question = "audit_logs: go on, for about $3.00 by the prices of us-east-1? [y/N] ";
    const no = await type("n\\n");
    expect(no.code).toBe(2);
    expect(no.stdout).toContain(question);
    expect(screen(no.stdout)).toContain("and the answer was no. Nothing was asked of the store. ");
    expect(await restoreRows(scenario)).toEqual([]);
    const yes = await type("yes\\n");
    expect(yes.code).toBe(0);
    expect(yes.stdout).toContain(question);
    expect(screen(yes.stdout)).toContain("3 cold segments restored");
  });

  it.each([
    [
      ["--tier", "fast"],
      'E_INPUT --tier: there is no such tier (found "fast"). Use Standard, Expedited, Bulk.',
    ],
    [["--days", "0"], 'E_INPUT --days: it is not a whole number of days (found "0"). Write 1 to 3650.'],
    [["--max-cost", "$5"], 'E_INPUT --max-cost: it is not an amount (found "$5"). Write it like 12.50.'],
    [
      ["--max-cost", "5", "--yes"],
      "E_INPUT --max-cost: it has no meaning with --yes. Leave one of them away.",
    ],
  ])("%j is a usage error", async (args, message) => {
    await using scenario = await createColdDays();
    const { code, stderr } = await retrieve(scenario, args);
    expect({ code, last: stderr.trimEnd().split("\n").at(-1) }).toEqual({ code: 2, last: message });
  });
});

describe("a retrieval that waits", () => {
  it("is killed, and the same command joins what is under way, waits on and finishes: nothing is asked for twice", async () => {
    await using scenario = await createColdDays();
    const answers = await answersOf(scenario);
    const args = ["retrieve", "audit-logs", ...YEAR, "--out", join(answers, "all.ndjson")];
    const delayed = { ...prices, FIRNLINE_FILE_RESTORE_DELAY_MS: "4000" };
    await using first = start(scenario, [...args, "--yes"], delayed);
    await first.until(
      async () => (await restoreRows(scenario)).filter((row) => row["state"] === "restoring").length === 3,
    );
    first.signal("SIGKILL");
    expect(await first.ended).toMatchObject({ code: null, signal: "SIGKILL" });
    const before = await copies(scenario);

    // Without --yes: it was agreed to, and costs nothing more.
    const second = await start(scenario, args, delayed).ended;
    expect(second).toMatchObject({ code: 0 });
    expect(second.stdout).toMatch(/: 300 rows, .+; 60 hot, 60 warm, 180 cold; 3 cold segments restored\n/);
    expect(await copies(scenario)).toEqual(before);
    const rows = await restoreRows(scenario);
    expect(rows.map((row) => row["state"])).toEqual(["readable", "readable", "readable"]);
    expect(await restoredEntries(scenario)).toHaveLength(1);
  });

  it.each(["restore.asked", "restore.requested"])(
    "is killed at %s, and the next one goes on from there",
    async (point) => {
      await using scenario = await createColdDays();
      const killed = await retrieve(scenario, ["--yes"], { ...prices, FIRNLINE_FAILPOINT: `${point}:kill` });
      expect(killed).toMatchObject({ code: null, signal: "SIGKILL" });
      expect((await restoreRows(scenario)).map((row) => row["state"])).toEqual(["asked", "asked", "asked"]);
      expect(await retrieve(scenario, [])).toMatchObject({ code: 0 });
      expect(await restoreRows(scenario)).toHaveLength(3);
      expect(await restoredEntries(scenario)).toHaveLength(1);
    },
  );

  it("is stopped with Ctrl-C: exit 130, no file, and what was asked for goes on", async () => {
    await using scenario = await createColdDays();
    const answers = await answersOf(scenario);
    const out = join(answers, "all.ndjson");
    const args = ["retrieve", "audit-logs", ...YEAR, "--out", out, "--yes"];
    await using child = start(scenario, args, { ...prices, ...SLOW });
    await child.until(
      async () => (await restoreRows(scenario)).filter((row) => row["state"] === "restoring").length === 3,
    );
    child.signal("SIGINT");
    const { code, stderr } = await child.ended;
    expect(code).toBe(130);
    expect(stderr).toContain(
      `E_INTERRUPTED firnline retrieve: it was asked to stop, and did not write ${out}. Run it again; what was asked ` +
        "for is restored meanwhile, and not asked for twice.\n",
    );
    expect(await readdir(answers)).toEqual([]);
    expect(await states(scenario)).toEqual(["restoring", "restoring", "restoring"]);
  });

  it("shows on a terminal how many are readable and when the next one is expected", async () => {
    await using scenario = await createColdDays();
    const environ = await terminalEnviron(scenario, { FIRNLINE_FILE_RESTORE_DELAY_MS: "1500" });
    const command = `"$NODE" "$MAIN" retrieve audit-logs --folder "$FOLDER" --out "$OUT" ${YEAR.join(" ")} --yes`;
    const { code, stdout } = await firnline(
      ["--quiet", "--return", "--command", `stty cols 120 -opost; ${command}`, "/dev/null"],
      { program: ["script"], environ },
    );
    expect(code).toBe(0);
    expect(drawn(stdout)).toContainEqual(
      expect.stringMatching(
        /^audit_logs: restoring: 0 of 3 cold segments are readable, the next at \d{4}-\d{2}-\d{2} \d{2}:\d{2}Z$/,
      ),
    );
  });
});

describe("restores and rehydrate", () => {
  it("rehydrate asks and does not wait, and restores shows who asked for what, until it has ended", async () => {
    await using scenario = await createColdDays();
    const ask = async (...args: string[]): Promise<Ending> =>
      await start(scenario, args, { ...prices, ...SLOW }).ended;
    expect((await ask("restores")).stdout).toBe("audit_logs: no restore is under way\n");
    expect((await ask("restores", "--all")).stdout).toBe("audit_logs: no restore was ever asked for\n");
    const refused = await ask("rehydrate", "audit-logs", ...YEAR);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    const asked = await ask("rehydrate", "audit-logs", ...YEAR, "--yes", "--days", "7");
    expect({ code: asked.code, stdout: steady(asked.stdout, scenario) }).toEqual({
      code: 0,
      stdout:
        "audit_logs: asked for 3 segments (SIZE), of 4 segments in the range 3 segments not readable yet\n" +
        "`firnline restores` shows when they are; `firnline retrieve` waits for them\n",
    });
    const again = await ask("rehydrate", "audit-logs", ...YEAR, "--json");
    expect(jsonLines(again.stdout)).toMatchObject([
      { rehydrate: { asked: [], waiting: 3, quote: { cost: "0" } } },
    ]);
    const { code, stdout } = await ask("restores", "audit-logs");
    expect(code).toBe(0);
    const [head, titles, , ...lines] = stdout.trimEnd().split("\n");
    expect([head, titles]).toEqual([
      "audit_logs: 3 restores",
      expect.stringMatching(/^segment +days +size +tier +asked by +since +state +ready +until$/),
    ]);
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      expect(line).toMatch(
        /^\S+ +2025-12-\d\d +[\d.]+ KiB +Standard +\S+ +\d{4}-\d\d-\d\d \d\d:\d\dZ +restoring +by \d{4}-\d\d-\d\d \d\d:\d\dZ$/,
      );
    }
    const machine = jsonLines((await ask("restores", "--json")).stdout);
    expect(machine).toHaveLength(3);
    for (const line of machine) {
      expect(line).toMatchObject({
        pipeline: "audit_logs",
        restore: {
          state: "restoring",
          tier: "Standard",
          days: 7,
          retrieval: null,
          bytes: expect.stringMatching(/^\d+$/),
          requestedAt: expect.stringMatching(/^\d{4}-.+Z$/),
          readyAt: expect.stringMatching(/^\d{4}-.+Z$/),
          until: null,
        },
      });
    }
  });
});

/** When each copy is ready and goes away: another request would change that. */
async function copies(scenario: Scenario): Promise<unknown[]> {
  return await scenario.query("SELECT segment, requested_at, days, tier FROM firnline.restore ORDER BY id");
}
