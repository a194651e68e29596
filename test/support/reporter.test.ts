/** Each case is a run of vitest of its own, on files made here; only its exit code and its last lines count. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));
const reporter = fileURLToPath(new URL("./reporter.ts", import.meta.url));

const GREEN = 'test("adds", () => expect(1 + 1).toBe(2));\n';

describe.concurrent("the closing line", () => {
  test("counts a green run and exits with 0", async () => {
    const run = await runVitest({ "a.test.js": GREEN });
    expect(run).toMatchObject({ exitCode: 0, last: "1 passed, 0 failed, 0 skipped" });
  });

  test("lists every skipped test with its reason, or with the lack of one", async () => {
    const run = await runVitest({
      "a.test.js": `${GREEN}
        test("by note", (context) => context.skip("needs a second disk"));
        test.skip("by title // needs Docker", () => {});
        describe.skip("a group // needs S3", () => { test("inside", () => {}); });
        test.todo("later");
        test.skip("silently", () => {});`,
    });
    expect(run.exitCode).toBe(0);
    expect(run.last).toBe("1 passed, 0 failed, 5 skipped");
    expect(run.lines.filter((line) => line.startsWith("skipped "))).toEqual([
      "skipped a.test.js > by note: needs a second disk",
      "skipped a.test.js > by title // needs Docker: needs Docker",
      "skipped a.test.js > a group // needs S3 > inside: needs S3",
      "skipped a.test.js > later: to be written",
      "skipped a.test.js > silently: NO REASON GIVEN",
    ]);
  });

  test("calls each skip a failure, and says why, where every test is required", async () => {
    const files = {
      "a.test.js": `${GREEN}
        test.skip("moves // ceph is not on this machine", () => {});
        test.skip("silently", () => {});`,
    };
    const run = await runVitest(files, { requiresAll: true });
    expect({ exitCode: run.exitCode, last: run.last }).toEqual({
      exitCode: 1,
      last: "1 passed, 2 failed, 0 skipped",
    });
    const why = "skipped, which this run does not allow";
    expect(run.lines.filter((line) => line.startsWith("FAILED "))).toEqual([
      `FAILED a.test.js > moves // ceph is not on this machine: ${why}: ceph is not on this machine`,
      `FAILED a.test.js > silently: ${why}: NO REASON GIVEN`,
    ]);
  });

  test("lets the caller choose by -t where every test is required, and is green without a skip", async () => {
    const files = { "a.test.js": `${GREEN} test("other", () => {});` };
    expect(await runVitest(files, { requiresAll: true, args: ["-t", "adds"] })).toMatchObject({
      exitCode: 0,
      last: "1 passed, 0 failed, 1 skipped",
    });
    expect(await runVitest(files, { requiresAll: true })).toMatchObject({
      exitCode: 0,
      last: "2 passed, 0 failed, 0 skipped",
    });
  });

  test.each([
    [
      "a failing test",
      { "a.test.js": `${GREEN} test("no", () => expect(1).toBe(2));` },
      "1 passed, 1 failed, 0 skipped",
    ],
    [
      "a file that does not load",
      { "a.test.js": GREEN, "b.test.js": "throw new Error('no');" },
      "1 passed, 1 failed, 0 skipped",
    ],
    ["a file without a test", { "a.test.js": GREEN, "b.test.js": "" }, "1 passed, 1 failed, 0 skipped"],
    [
      "a hook that throws before the tests",
      {
        "a.test.js": `${GREEN} describe("s", () => { beforeAll(() => { throw new Error("no"); }); test("t", () => {}); });`,
      },
      "1 passed, 1 failed, 1 skipped",
    ],
    [
      "a hook that throws after the tests",
      { "a.test.js": `${GREEN} afterAll(() => { throw new Error("no"); });` },
      "1 passed, 1 failed, 0 skipped",
    ],
    [
      "an unhandled rejection",
      {
        "a.test.js": `test("adds", async () => { Promise.reject(new Error("no")); await new Promise((r) => setTimeout(r, 50)); });`,
      },
      "1 passed, 1 failed, 0 skipped",
    ],
    [
      "a run that executed nothing",
      { "a.test.js": 'test.skip("x // why", () => {});' },
      "0 passed, 1 failed, 1 skipped",
    ],
    ["a run without files", {}, "0 passed, 1 failed, 0 skipped"],
    [
      "a global set-up that fails",
      { "a.test.js": GREEN, "setup.js": "throw new Error('no');" },
      "0 passed, 1 failed, 0 skipped",
    ],
    [
      "a global tear-down that fails",
      { "a.test.js": GREEN, "setup.js": "export default () => () => { throw new Error('no'); };" },
      "1 passed, 1 failed, 0 skipped",
    ],
  ])("never says 0 failed on a red run: %s", async (_case, files, last) => {
    const run = await runVitest(files as Record<string, string>);
    expect({ exitCode: run.exitCode, last: run.last }).toEqual({ exitCode: 1, last });
  });
});

interface Run {
  readonly exitCode: number;
  readonly lines: readonly string[];
  readonly last: string | undefined;
}

async function runVitest(
  files: Record<string, string>,
  { requiresAll = false, args = [] }: { requiresAll?: boolean; args?: readonly string[] } = {},
): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), "firnline-reporter-"));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const config = {
      globals: true,
      globalSetup: "setup.js" in files ? ["./setup.js"] : [],
      reporters: ["default", requiresAll ? [reporter, { requiresAll }] : reporter],
    };
    await writeFile(join(folder, "vitest.config.mjs"), `export default { test: ${JSON.stringify(config)} };`);
    const child = spawn(process.execPath, [vitest, "run", "--root", folder, ...args], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, VITEST: undefined },
      stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const [exitCode] = (await once(child, "close")) as [number];
    const lines = text.trimEnd().split("\n");
    return { exitCode, lines, last: lines.at(-1) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
