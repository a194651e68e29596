/** `firnline plan` with money: the price list that comes with it, the owner's, and files that are refused. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Scenario } from "../support/scenario.ts";
import { jsonLines } from "./command-line.ts";
import { cli, fill, json, start, WHEN } from "./on-scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.create();
  await fill(scenario);
});
afterAll(async () => await scenario?.[Symbol.asyncDispose]());

async function priceFile(content: string): Promise<string> {
  const path = join(scenario.folder, "prices.json");
  await writeFile(path, content);
  return path;
}

/** What depends on the server's version, and on when autovacuum looks at the table. */
const settled = (text: string): string =>
  text
    .replaceAll(/ +[\d.]+ (?:[KM]i)?B\b/g, " SIZE")
    .replaceAll(scenario.folder, "FOLDER")
    .replaceAll(/-{2,}( +-+)*/g, "--");

describe("firnline plan", () => {
  it("says what each tier holds before and after; a folder has no prices", async () => {
    const { code, stdout, stderr } = await cli(scenario, "plan", ...WHEN);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(settled(stdout)).toMatchInlineSnapshot(`
      "audit_logs as of 2026-03-01T00:00Z: 2 steps, 120 rows, about SIZE
        day (UTC)   stages                              rows      size
        --
        2025-12-30  export > seal > prune > transition    60 SIZE
        2026-01-29  export > seal > prune                 60 SIZE
        why 2025-12-30 and 1 more: the day ended 60 days ago, hot keeps 30 days

        tier               rows now  after  size now     after
        --
        hot                     180     60 SIZE SIZE
        warm STANDARD             0     60 SIZE SIZE
        cold DEEP_ARCHIVE         0     60 SIZE SIZE
        no earlier run moved rows, so nothing tells how long this takes
        sizes of new objects are estimated: a sixth of the table's, as nothing is archived yet
        hot after is what its rows need: the file stays as large until new rows fill it or it is rewritten
      "
    `);
  });

  it("has money where the owner gives prices, by flag or by environment, and the flag wins", async () => {
    const path = await priceFile('{ "hot": { "perGbMonth": 100000 }, "region": "nowhere-1" }');
    const flag = await cli(scenario, "plan", ...WHEN, "--prices", path);
    expect(flag).toMatchObject({ code: 0, stderr: "" });
    // A folder with a long name has a line of its own.
    expect(settled(flag.stdout)).toMatch(/^ {2}prices: USD, nowhere-1, 2026-07\s+\(FOLDER\/prices\.json\)$/m);
    expect(flag.stdout).toMatch(/^ {2}hot .* \$\d+\.\d\d +\$\d+\.\d\d$/m);
    expect(flag.stdout).toMatch(
      /^ {2}about \$\d+\.\d\d a month less; the move costs less than \$0\.01 once$/m,
    );
    const environ = await start(scenario, ["plan", ...WHEN], { FIRNLINE_PRICES: path }).ended;
    expect(environ.stdout).toBe(flag.stdout);
    const both = ["plan", ...WHEN, "--prices", path];
    expect((await start(scenario, both, { FIRNLINE_PRICES: "/nonexistent" }).ended).stdout).toBe(flag.stdout);
  });

  it("tells machines the same, before the plan's last line", async () => {
    const path = await priceFile("{}");
    const lines = await json(scenario, "plan", ...WHEN, "--prices", path);
    expect(lines.map((line) => Object.keys(line)[1])).toEqual(["step", "step", "estimate", "plan"]);
    expect(lines[2]).toMatchObject({
      pipeline: "audit_logs",
      estimate: {
        currency: "USD",
        tiers: [
          { tier: "hot", before: { rows: "180", objects: null }, after: { rows: "60" } },
          { tier: "warm", storageClass: "STANDARD", after: { rows: "60", objects: "1" } },
          { tier: "cold", storageClass: "DEEP_ARCHIVE", after: { rows: "60", objects: "1" } },
        ],
        perMonth: { before: expect.stringMatching(/^0\.\d+$/), after: expect.stringMatching(/^0\.\d+$/) },
        duration: null,
        archivedRow: { from: "default" },
        prices: { origin: path, region: "us-east-1" },
      },
    });
  });

  it.each([
    [
      "is not there",
      null,
      /^E_INPUT .*gone\.json: the price list cannot be read \(ENOENT.*Check the path\.$/,
    ],
    ["is no JSON", "canary", /^E_INPUT .*prices\.json: it is not a JSON object\. (?!.*canary)/],
    [
      "has a misspelt price",
      '{ "hot": { "perGBMonth": 1 } }',
      /^E_INPUT .* hot: there is no price of that name/,
    ],
  ])("refuses a price file that %s, once, before anything is connected", async (_what, content, message) => {
    const path = content === null ? join(scenario.folder, "gone.json") : await priceFile(content);
    const nowhere = { DATABASE_URL: "postgres://127.0.0.1:1/nothing" };
    const { code, stdout, stderr } = await start(scenario, ["plan", "--prices", path], nowhere).ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.trimEnd()).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    const machine = await start(scenario, ["plan", "--json", "--prices", path], nowhere).ended;
    expect(jsonLines(machine.stdout)).toMatchObject([{ error: { code: "E_INPUT" } }]);
  });
});
