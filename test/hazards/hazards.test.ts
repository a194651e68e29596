/** That the map of hazards is whole, and names tests that are there. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { FORMS, type Held, HAZARDS } from "./hazards.ts";

const NUMBERS = [...Array.from({ length: 30 }, (_, at) => `${at + 1}`), "17b", "17c", "17d"];
/** What a file does that runs on 15, too. */
const ON_15 = /\bonBoth\(|\bMAJORS\b|\bstartMajor\(/;
/** Files that declare no tests themselves, and those that run them on each major version. */
const RUN_BY: Readonly<Record<string, string>> = {
  "postgres/describe-hazards.ts": "postgres/majors.test.ts",
  "hazards/bad-server.ts": "hazards/bad-input.test.ts",
};

const read = async (path: string): Promise<string> =>
  await readFile(new URL(`../${path}`, import.meta.url), "utf8");

async function missing(held: readonly Held[]): Promise<string[]> {
  const problems: string[] = [];
  for (const [file, title] of held) {
    const text = await read(file);
    const at = text.indexOf(JSON.stringify(title));
    if (at === -1) problems.push(`${file} has no test ${JSON.stringify(title)}`);
    else if (/\.(?:skip|todo|fails)\b[^;]*$/.test(text.slice(Math.max(0, at - 120), at)))
      problems.push(`${file}: ${title} is skipped`);
  }
  return problems;
}

async function runsOn15(held: readonly Held[]): Promise<boolean> {
  const texts = await Promise.all(held.map(async ([file]) => await read(RUN_BY[file] ?? file)));
  return texts.some((text) => ON_15.test(text));
}

/** What doctor prints of findings: without the title, and without the advice that may follow. */
async function sectionOf(golden: string, title: string): Promise<string | undefined> {
  const sections = (await read(`golden/${golden}`)).split(/^## /m);
  return sections
    .find((section) => section.startsWith(`${title}\n`))
    ?.slice(title.length + 1)
    .split("\n\n")[0];
}

describe("the map of hazards", () => {
  const hazards = Object.entries(HAZARDS);

  it("has each of the 33", () => {
    expect(hazards.map(([number]) => number).sort()).toEqual([...NUMBERS].sort());
  });

  it.each(hazards)("names tests of %s that are there", async (_number, { held }) => {
    expect(held.length).toBeGreaterThan(0);
    expect(await missing(held)).toEqual([]);
  });

  const ofDatabases = hazards.filter(([, { withoutPostgres }]) => withoutPostgres === undefined);
  it.each(ofDatabases)(
    "names a test of %s that runs on the oldest server, too",
    async (_number, { held }) => {
      expect(await runsOn15(held)).toBe(true);
    },
  );

  const statics = hazards.flatMap(([number, { doctor }]) =>
    doctor === undefined ? [] : [{ number, doctor }],
  );
  it.each(statics)(
    "has what doctor says of $number before anything moves, with what to paste",
    async ({ doctor }) => {
      const { golden, test, nothingToPaste } = doctor;
      if (test !== undefined) expect(await missing([test])).toEqual([]);
      if (golden === undefined) return;
      const text = await sectionOf(...golden);
      expect(text).toMatch(/^[EA]_[A-Z_]+ /m);
      expect(/^ {4}\S/m.test(text as string), text).toBe(nothingToPaste === undefined);
    },
  );

  it.each(Object.entries(FORMS))("names tests of %s on both servers", async (_form, held) => {
    expect(await missing(held)).toEqual([]);
    expect(await runsOn15(held)).toBe(true);
  });
});
