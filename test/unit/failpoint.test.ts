/** Places where a test can stop the flow: how they are named, and when they fire. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

import {
  type FailpointName,
  FAILPOINT_ACTIONS,
  failpointFrom,
  FAILPOINTS,
  noFailpoint,
  parseFailpoint,
} from "../../src/failpoint.ts";

describe("FIRNLINE_FAILPOINT", () => {
  it.each(FAILPOINTS)("knows %s, with every action, from the first hit or a later one", (name) => {
    for (const action of FAILPOINT_ACTIONS) {
      expect(parseFailpoint(`${name}:${action}`)).toEqual({ name, action, hit: 1 });
      expect(parseFailpoint(`${name}:${action}@3`)).toEqual({ name, action, hit: 3 });
    }
  });

  it.each([
    "",
    "export.uploaded",
    "export.uploaded:",
    ":kill",
    "export.uploaded:stop",
    "export.nothing:kill",
    "export.uploaded:kill@0",
    "export.uploaded:kill@-1",
    "export.uploaded:kill@01",
    "export.uploaded:kill@1234567",
    "export.uploaded:kill@",
    "export.uploaded:kill@x",
    " export.uploaded:kill",
    "export.uploaded:kill ",
    "export.uploaded:kill\n",
    "EXPORT.UPLOADED:KILL",
    "export.uploaded:kill,seal.read:kill",
    "constructor.name:kill",
  ])("refuses %j, which would never fire", (text) => {
    expect(() => parseFailpoint(text)).toThrow(
      /^E_INPUT FIRNLINE_FAILPOINT: ".*" is not stage\.point:action\. (?:Points of \w+|Stages) are .*; actions are kill, error, pause\.$/s,
    );
  });

  it("lists exactly the places that the code passes", () => {
    const folder = fileURLToPath(new URL("../../src/", import.meta.url));
    const passed = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) => [...readFileSync(join(folder, file), "utf8").matchAll(/\bfailpoint\("([^"]+)"\)/g)])
      .map(([, name]) => name);
    expect(new Set(passed)).toEqual(new Set(FAILPOINTS));
  });
});

describe("a failpoint", () => {
  function hitsOf(setting: string, names: readonly FailpointName[]): string[] {
    const happened: string[] = [];
    const failpoint = failpointFrom(parseFailpoint(setting), (signal) => happened.push(signal));
    for (const name of names) {
      try {
        failpoint(name);
        happened.push("-");
      } catch (error) {
        happened.push((error as Error).message);
      }
    }
    return happened;
  }
  const five: FailpointName[] = Array.from({ length: 5 }, () => "seal.read");
  const error = "E_INTERNAL failpoint seal.read: it was set to fail here. Unset FIRNLINE_FAILPOINT.";

  it("that is not set does nothing", () => {
    for (const name of FAILPOINTS) noFailpoint(name);
  });

  it("does nothing at another place", () => {
    expect(hitsOf("seal.read:kill", ["export.uploaded", "seal.manifest"])).toEqual(["-", "-"]);
  });

  it("kills at its hit, counted from one", () => {
    expect(hitsOf("seal.read:kill", ["seal.read"])).toEqual(["SIGKILL", "-"]);
    expect(hitsOf("seal.read:kill@3", ["seal.read", "seal.read"])).toEqual(["-", "-"]);
    expect(hitsOf("seal.read:kill@3", ["seal.read", "seal.read", "seal.read"])).toEqual([
      "-",
      "-",
      "SIGKILL",
      "-",
    ]);
  });

  it("counts its own hits only", () => {
    expect(hitsOf("seal.read:error@2", ["seal.read", "seal.sealed", "seal.read"])).toEqual(["-", "-", error]);
  });

  it("throws from its hit on, every time, so that a retry does not hide it", () => {
    expect(hitsOf("seal.read:error@2", five)).toEqual(["-", error, error, error, error]);
  });

  it("stops the process once: whoever continues it does not want it stopped again", () => {
    expect(hitsOf("seal.read:pause@2", five)).toEqual(["-", "SIGSTOP", "-", "-", "-", "-"]);
  });
});
