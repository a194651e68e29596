/** The matrix itself: all lines are there, and the harness says so when one of them does not hold. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LINES } from "./matrix/lines.ts";

const MAIN = join(import.meta.dirname, "main.ts");
const BROKEN = ["--lines", join(import.meta.dirname, "matrix/broken-lines.child.ts")];

async function runMatrix(...args: string[]): Promise<{ code: number | null; lines: string[] }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "ignore"] });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (printed += piece));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, lines: printed.trimEnd().split("\n") };
}

test("has the lines 1 to 44, in order and none besides", () => {
  const numbers = Array.from({ length: 44 }, (_, index) => index + 1);
  expect([...new Set(LINES.map(({ number }) => number))]).toEqual(numbers);
});

test("reports what does not hold, with exit code 1", async () => {
  const { code, lines } = await runMatrix(...BROKEN);
  const [header, ...rest] = lines.join("\n").split(/\n(?= *\d+ {3})/);
  expect(header).toMatch(/^ # {3}fault +stage +expect +seconds +seen$/);
  expect(rest).toEqual([
    expect.stringMatching(/^ 1 {3}a row is lost .*FAILED: rows that are lost/),
    expect.stringMatching(/^ 2 {3}a row is there twice .*FAILED: rows that nobody inserted, or twice/),
    expect.stringMatching(/^ 3 {3}an object is gone .*FAILED: (?:objects that the catalog refers to|ENOENT)/),
    expect.stringMatching(/^ 4 {3}the second run moves something .*FAILED: no step/),
    expect.stringMatching(
      /^ 5 {3}the second run writes something .*FAILED: the run after the rerun changes nothing/,
    ),
    expect.stringMatching(/^ 6 {3}a refusal that deletes .*FAILED: nothing changes/),
    expect.stringMatching(/^ 7 {3}what it needs is not there .*SKIPPED: no such server/),
    expect.stringMatching(/^ 8 {3}all is well .* {2}as expected\n/),
  ]);
  expect(rest.at(-1)?.split("\n").slice(1)).toEqual([
    "",
    "1 passed, 6 failed, 1 skipped",
    "skipped 7: no such server",
  ]);
  expect(code).toBe(1);
});

test("refuses what it does not know, and fails nothing that is skipped", async () => {
  expect((await runMatrix(...BROKEN, "--only", "45")).code).toBe(2);
  const skipped = await runMatrix(...BROKEN, "--only", "7");
  expect([skipped.code, skipped.lines.at(-2)]).toEqual([0, "0 passed, 0 failed, 1 skipped"]);
});
