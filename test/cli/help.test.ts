/** Help, as it is printed: `test/golden/help-*.txt`. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { readArguments } from "../../src/cli/arguments.ts";
import { adopt } from "../../src/cli/commands/adopt.ts";
import { catalog } from "../../src/cli/commands/catalog.ts";
import { collect } from "../../src/cli/commands/collect.ts";
import { verify } from "../../src/cli/commands/verify.ts";
import { demo } from "../../src/cli/commands/demo.ts";
import { doctor } from "../../src/cli/commands/doctor.ts";
import { hold } from "../../src/cli/commands/hold.ts";
import { init } from "../../src/cli/commands/init.ts";
import { lifecycle } from "../../src/cli/commands/lifecycle.ts";
import { migrate } from "../../src/cli/commands/migrate.ts";
import { plan } from "../../src/cli/commands/plan.ts";
import { rehydrate } from "../../src/cli/commands/rehydrate.ts";
import { restores } from "../../src/cli/commands/restores.ts";
import { retrieve } from "../../src/cli/commands/retrieve.ts";
import { run } from "../../src/cli/commands/run.ts";
import { status } from "../../src/cli/commands/status.ts";
import { commandHelp, generalHelp } from "../../src/cli/help.ts";
import { firnline } from "./command-line.ts";

const COMMANDS = [
  init,
  doctor,
  migrate,
  plan,
  run,
  status,
  retrieve,
  rehydrate,
  restores,
  verify,
  catalog,
  adopt,
  collect,
  hold,
  lifecycle,
  demo,
];
const COLUMNS_MAX = 100;

const golden = (name: string): string => `../golden/help-${name}.txt`;

describe("the help of firnline", () => {
  it("is as written down", async () => {
    await expect(`${generalHelp(COMMANDS)}\n`).toMatchFileSnapshot(golden("firnline"));
  });

  it.each(["--help", "-h", "help"])("comes with %s, on standard output, and is no failure", async (word) => {
    const { code, stdout, stderr } = await firnline([word]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${generalHelp(COMMANDS)}\n`, stderr: "" });
  });

  it("comes on standard error, as a usage error, when no command is named", async () => {
    const { code, stdout, stderr } = await firnline([]);
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: `${generalHelp(COMMANDS)}\n` });
  });

  it("names every exit code of the design", () => {
    const codes = generalHelp(COMMANDS).match(/\d+(?= [a-z])/g);
    expect(codes?.slice(-8)).toEqual(["0", "1", "2", "3", "10", "11", "12", "130"]);
  });
});

describe.each(COMMANDS)("the help of firnline $name", (command) => {
  it("is as written down, and fits into a terminal", async () => {
    const text = commandHelp(command);
    await expect(`${text}\n`).toMatchFileSnapshot(golden(command.name));
    expect(text.split("\n").filter((line) => line.length > COLUMNS_MAX)).toEqual([]);
  });

  it("shows examples that the command takes", () => {
    expect(command.examples.length).toBeGreaterThan(0);
    for (const example of command.examples) {
      const [program, name, ...args] = (example.split(" | ")[0] as string).split(" ");
      expect([program, name]).toEqual(["firnline", command.name]);
      expect(() => readArguments(command, args)).not.toThrow();
    }
  });
});

describe("help on one command", () => {
  it.each([
    ["run", "--help"],
    ["run", "audit-logs", "-h"],
    ["help", "run"],
    ["run", "--nonsense", "--help"],
  ])("comes with %s %s", async (...args) => {
    const { code, stdout, stderr } = await firnline(args);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${commandHelp(run)}\n`, stderr: "" });
  });
});

it("firnline --version names the version of the package", async () => {
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  const { code, stdout, stderr } = await firnline(["--version"]);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});
