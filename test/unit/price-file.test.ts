/** Price lists of the owner's: what is taken, and what is refused with which words. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { builtInPrices, pricesOf, readPrices } from "../../src/price-file.ts";

const builtIn: object = JSON.parse(
  readFileSync(new URL("../../src/plan/prices.json", import.meta.url), "utf8"),
);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "firnline-prices-"));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

async function file(content: unknown): Promise<string> {
  const path = join(folder, "prices.json");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

describe("a price file", () => {
  it("replaces the prices that it names, and leaves the others", async () => {
    const path = await file({
      region: "eu-central-1",
      hot: { perGbMonth: 0.137 },
      classes: { GLACIER: { daysMin: 5 } },
    });
    const base = builtInPrices();
    expect(await readPrices(path)).toEqual({
      ...base,
      origin: path,
      region: "eu-central-1",
      hot: { ...base.hot, perGbMonth: 137_000_000n },
      classes: { ...base.classes, GLACIER: { ...base.classes.GLACIER, daysMin: 5 } },
    });
    expect(await readPrices(await file({}))).toEqual({ ...base, origin: path });
  });

  it("in another currency is taken whole", async () => {
    const found = await readPrices(await file({ ...builtIn, currency: "EUR" }));
    expect(found).toEqual({ ...builtInPrices(), currency: "EUR", origin: found.origin });
  });

  it.each([
    [
      "prices of two currencies",
      { currency: "EUR", hot: { perGbMonth: 1 } },
      / source: it is missing\. A list in another currency needs every price.*\n.* date: it is missing/,
    ],
    [
      "a misspelt name",
      { hot: { perGBMonth: 1 } },
      / hot: there is no price of that name \(found "perGBMonth"\)\. Write only what differs .*plan\/prices\.json\.$/,
    ],
    ["a class that does not exist", { classes: { COLDEST: {} } }, / classes: there is no .*COLDEST/],
    ["a price below nothing", { hot: { perGbMonth: -1 } }, / hot\.perGbMonth: it cannot be used \(Too small/],
    [
      "a price as a text",
      { hot: { perGbMonth: "0.08" } },
      / hot\.perGbMonth: .*expected number, received string/,
    ],
    ["a price beyond reason", { hot: { perGbMonth: 1e12 } }, / hot\.perGbMonth: .*Too big/],
    ["half a day", { classes: { GLACIER: { daysMin: 1.5 } } }, / classes\.GLACIER\.daysMin: .*expected int/],
    ["a currency that is none", { ...builtIn, currency: "euro" }, / currency: it cannot be used/],
    [
      "several things wrong",
      { date: "", hot: { perGbMonth: null } },
      / date: it cannot.*\n.* hot\.perGbMonth: it/,
    ],
    ["__proto__", '{ "__proto__": { "x": 1 } }', /there is no price of that name \(found "__proto__"\)/],
    ["a list", "[1]", /it is not a JSON object/],
    ["no JSON", "canary{", /^E_INPUT (?!.*canary).*it is not a JSON object/],
    ["nothing", "", /it is not a JSON object/],
    ["too much", `{"source": "${"x".repeat(70_000)}"}`, /it is larger than 65536 bytes/],
  ])("with %s is refused", async (_what, content, message) => {
    const path = await file(content);
    const error = (await readPrices(path).catch((cause: unknown) => cause)) as Error;
    expect(error.message).toMatch(message);
    const errors = error instanceof AggregateError ? error.errors : [error];
    for (const one of errors) expect(one).toMatchObject({ code: "E_INPUT" });
  });

  it("that cannot be read is refused with the reason", async () => {
    await expect(readPrices(join(folder, "gone.json"))).rejects.toThrow(
      /E_INPUT .*gone\.json: .*ENOENT.*Check the path/,
    );
    await expect(readPrices(folder)).rejects.toMatchObject({ code: "E_INPUT" });
  });
});

describe("the prices of an archive", () => {
  const own = { ...builtInPrices(), origin: "mine.json" };
  const archive = (url: string, endpoint: string | null = null) => ({
    url,
    endpoint,
    region: null,
    owner: null,
    recoveryDays: 14,
    lock: null,
    encryption: null,
    bloomFilters: [],
  });

  it("are the built-in ones for S3 at AWS alone: nobody here knows what another store or a folder costs", () => {
    expect(pricesOf(archive("s3://acme/x"), null)?.origin).toBe("built in");
    expect(pricesOf(archive("s3://acme/x", "https://s3.example.com"), null)).toBeNull();
    expect(pricesOf(archive("file:///var/lib/firnline"), null)).toBeNull();
  });

  it("are the owner's wherever he gives some", () => {
    for (const url of ["s3://acme/x", "file:///var/lib/firnline"])
      expect(pricesOf(archive(url), own)).toBe(own);
  });
});
