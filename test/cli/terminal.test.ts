/** Terminals and pipes: progress is for people at a terminal alone, and a reader that has enough is no failure. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { AS_OF, Scenario, SMALL } from "../support/scenario.ts";
import { drawn, type Ending, firnline, jsonLines, MAIN, screen } from "./command-line.ts";

/** Every control character but the end of a line. */
const CONTROL = /(?!\n)\p{Cc}/u;
const COLUMNS = 60;

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create();
  await template.insert(auditRows("2026-01-20", 1, 120));
  await template.insert(auditRows("2026-01-21", 1001, 120));
});
afterAll(async () => await template?.[Symbol.asyncDispose]());

const environ = (scenario: Scenario): Record<string, string> => ({
  DATABASE_URL: scenario.url,
  ...SMALL,
  NODE: process.execPath,
  MAIN,
  FOLDER: scenario.folder,
});

const FIRNLINE = '"$NODE" "$MAIN"';

/** A shell script; `firnline` in it is ours. */
async function shell(scenario: Scenario, script: string): Promise<Ending> {
  const text = script.replaceAll("firnline", FIRNLINE);
  return await firnline(["-c", text], {
    program: ["/bin/sh"],
    environ: environ(scenario),
    cwd: scenario.folder,
  });
}

/** The same on a terminal of its own, which shows both outputs: what `script` of util-linux is for. */
async function onTerminal(scenario: Scenario, script: string): Promise<Ending> {
  const text = `stty cols ${COLUMNS} -opost; ${script.replaceAll("firnline", FIRNLINE)}`;
  return await firnline(["--quiet", "--return", "--command", text, "/dev/null"], {
    program: ["script"],
    environ: { ...environ(scenario), TERM: "xterm" },
    cwd: scenario.folder,
  });
}

describe("progress", () => {
  it("is drawn on a terminal, fits into its width, and is gone in the end", async () => {
    await using scenario = await template.copy();
    const { code, stdout } = await onTerminal(scenario, `firnline run --as-of ${AS_OF}`);
    expect(code).toBe(0);
    const lines = drawn(stdout);
    expect(lines[0]).toMatch(/^audit_logs: exported \d+ rows$/);
    expect(lines.filter((line) => line.length >= COLUMNS)).toEqual([]);
    expect(screen(stdout)).toMatch(/^audit_logs: archived 240 rows, pruned 240 rows \(\d+\.\d s\)\n$/);
  });

  it("is not drawn with --json, not on a terminal either", async () => {
    await using scenario = await template.copy();
    const { code, stdout } = await onTerminal(scenario, `firnline run --as-of ${AS_OF} --json`);
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toMatchObject([{ run: { exported: "240" } }]);
  });

  it("is not drawn where standard error is a pipe or a file, whatever standard output is", async () => {
    await using scenario = await template.copy();
    const { code, stdout } = await onTerminal(scenario, `firnline run --as-of ${AS_OF} 2>errors`);
    expect({ code, errors: await readFile(join(scenario.folder, "errors"), "utf8") }).toEqual({
      code: 0,
      errors: "",
    });
    expect(stdout).not.toMatch(CONTROL);
  });

  it("is in no pipe: not one carriage return, not one escape", async () => {
    await using scenario = await template.copy();
    const dates = "--from 2026-01-01 --to 2026-01-31";
    for (const command of [
      `plan --as-of ${AS_OF}`,
      `run --as-of ${AS_OF}`,
      "status",
      `retrieve audit-logs ${dates} --out answer`,
      "run --nonsense",
    ]) {
      const { stdout, stderr } = await shell(scenario, `firnline ${command}`);
      expect(`${stdout}${stderr}`).not.toBe("");
      expect(`${stdout}${stderr}`).not.toMatch(CONTROL);
    }
  });
});

describe("standard output", () => {
  it("that is closed early ends no command: no stack trace, the same exit code", async () => {
    await using scenario = await template.copy();
    await scenario.insert(
      "SELECT 5000 + n, '2020-01-01 12:00:00+00'::timestamptz + n * interval '1 day' FROM generate_series(0, 1499) n",
    );
    for (const form of ["--all", "--json"]) {
      const { stdout, stderr } = await shell(
        scenario,
        `{ firnline plan --backfill ${form}; echo "$?" >code; } | head -n 1`,
      );
      expect(stdout.split("\n")).toHaveLength(2);
      expect(stderr).toBe("");
      expect(await readFile(join(scenario.folder, "code"), "utf8")).toBe("0\n");
    }
  });

  it("that is closed does not stop a run", async () => {
    await using scenario = await template.copy();
    const { stderr } = await shell(scenario, `{ firnline run --as-of ${AS_OF}; echo "$?" >code; } | true`);
    expect(stderr).toBe("");
    expect(await readFile(join(scenario.folder, "code"), "utf8")).toBe("0\n");
    expect(await scenario.count()).toBe(0);
  });

  it("that cannot be written is a failure that says so", async () => {
    await using scenario = await template.copy();
    const { code, stderr } = await shell(scenario, "firnline plan --json >/dev/full");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^E_CAPACITY standard output: it could not be written \(ENOSPC.+\)\. .+\.\n$/);
  });

  it("and standard error may both be closed from the start", async () => {
    await using scenario = await template.copy();
    expect(await shell(scenario, "firnline plan >&- 2>&-")).toMatchObject({ code: 0 });
    expect(await shell(scenario, "firnline nonsense >&- 2>&-")).toMatchObject({ code: 2 });
  });
});
