/** Style is a test. What is forbidden, and why: the import rule and the decisions in `src/ARCHITECTURE.md`. */
import { glob, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { blanked, importsOf } from "./support/import-scanner.ts";
import { dependencyFindings, RULES, tooLong, type Tree } from "./support/tidy-rules.ts";

type RuleName = keyof typeof RULES;
const ruleNames = Object.keys(RULES) as RuleName[];

describe("this repository", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const tree = new Map<string, string>();

  beforeAll(async () => {
    for await (const file of glob("{src,test}/**/*.ts", { cwd: root })) {
      tree.set(file.replaceAll("\\", "/"), await readFile(new URL(`../${file}`, import.meta.url), "utf8"));
    }
  });

  test("is what the rules look at", () => {
    expect(tree.size).toBeGreaterThan(20);
    expect([...tree.keys()]).toContain("src/rows/day.ts");
    // The scanner sees what is there: braces that do not balance would mean that it lost its way.
    for (const [file, text] of tree) {
      const code = blanked(text);
      expect([file, code.match(/[({[]/g)?.length]).toEqual([file, code.match(/[)}\]]/g)?.length]);
    }
  });

  test.each(ruleNames)("%s", (name) => {
    expect(RULES[name](tree)).toEqual([]);
  });

  test("pins every dependency exactly and gives its reason in the README", async () => {
    const manifest = await readFile(new URL("../package.json", import.meta.url), "utf8");
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    expect(dependencyFindings(manifest, readme)).toEqual([]);
  });
});

/** For each rule, one-line changes that break it; each must be found. A rule without an example does not compile. */
const violations: Record<RuleName, readonly Record<string, string>[]> = {
  "imports go up only": [
    { "src/rows/a.ts": 'import "../parquet/b.ts";' },
    { "src/plan/a.ts": 'import type { Hot } from "../hot/port.ts";' },
    { "src/errors.ts": 'import { day } from "./rows/day.ts";' },
    { "src/policy/a.ts": 'export * from "../config.ts";' },
    { "src/hot/a.ts": 'import { a } from "../archive/port.ts";' },
    { "src/archive/s3/a.ts": 'import { a } from "../../catalog/port.ts";' },
    { "src/parquet/a.ts": 'import { a } from "../archive/port.ts";' },
    { "src/hot/a.ts": 'import { a } from "../postgres/database.ts";' },
    { "src/archive/s3/a.ts": 'import { a } from "../../postgres/database.ts";' },
    { "src/stages/a.ts": 'import { a } from "../postgres/database.ts";' },
    { "src/postgres/a.ts": 'import { a } from "../hot/port.ts";' },
    { "src/stages/a.ts": 'import { a } from "../retrieve/b.ts";' },
    { "src/stages/a.ts": 'import { a } from "../repair/b.ts";' },
    { "src/repair/a.ts": 'import { a } from "../retrieve/b.ts";' },
    { "src/retrieve/a.ts": 'const a = await import("../wiring.ts");' },
    { "src/wiring.ts": 'import { a } from "./cli/main.ts";' },
    { "src/index.ts": 'import { a } from "./demo/a.ts";' },
    { "src/demo/a.ts": 'import { a } from "../cli/main.ts";' },
    { "src/demo/a.ts": 'import { a } from "../postgres/database.ts";' },
    { "src/newroom/a.ts": 'import { a } from "../errors.ts";' },
  ],
  "only wiring.ts names adapters": [
    { "src/stages/a.ts": 'import { a } from "../archive/file/a.ts";' },
    { "src/retrieve/a.ts": 'import type { A } from "../catalog/postgres/a.ts";' },
    { "src/hot/port.ts": 'import type { A } from "./postgres/a.ts";' },
    { "src/archive/s3/a.ts": 'import { a } from "../file/a.ts";' },
    { "src/archive/wrap/retry.ts": 'import { a } from "../memory/a.ts";' },
    { "src/cli/a.ts": 'import { a } from "../hot/postgres/a.ts";' },
    { "src/index.ts": 'export { a } from "./archive/gcs/a.ts";' },
  ],
  "the ground floor has no Node built-ins and few packages": [
    { "src/segment/a.ts": 'import { createHash } from "node:crypto";' },
    { "src/rows/a.ts": 'import { z } from "zod";' },
    { "src/plan/a.ts": 'import type { Pool } from "pg";' },
    { "src/segment/a.ts": 'import yaml from "yaml";' },
    { "src/errors.ts": 'import { z } from "zod";' },
  ],
  "time and chance are arguments on the ground floor": [
    { "src/plan/a.ts": "export const a = Date.now();" },
    { "src/policy/readers/a.ts": "export const a = () => new Date();" },
    { "src/segment/a.ts": "export const a = `${Math.random()}`;" },
  ],
  "every relative import is a file of ours": [
    { "src/rows/a.ts": 'import "./missing.ts";' },
    { "test/unit/a.test.ts": 'import { a } from "../../src/rows/a.js";', "src/rows/a.ts": "" },
  ],
  "no import cycle": [
    { "src/rows/a.ts": 'import "./a.ts";' },
    {
      "src/rows/a.ts": 'import type { B } from "./b.ts";',
      "src/rows/b.ts": 'import type { A } from "./a.ts";',
    },
    {
      "test/support/a.ts": 'import "./b.ts";',
      "test/support/b.ts": 'export * from "./c.ts";',
      "test/support/c.ts": 'type A = import("./a.ts").A;',
    },
  ],
  "no drawers": [
    { "src/rows/utils.ts": "" },
    { "src/hot/helpers/a.ts": "" },
    { "src/types.ts": "" },
    { "test/support/common.ts": "" },
  ],
  "files are short": [{ "src/rows/a.ts": "a;\n".repeat(301) }],
  "no test is focused": [
    { "test/unit/a.test.ts": 'test.only("a", () => {});' },
    { "test/unit/a.test.ts": 'describe.only.each([1])("a", () => {});' },
  ],
  "no regular expression in toMatchObject, where it matches anything": [
    { "test/unit/a.test.ts": "expect(a).toMatchObject({ problem: /x/ });" },
    { "test/unit/a.test.ts": "await expect(a).rejects.toMatchObject([\n  { code: 1, problem: /[x]/ },\n]);" },
  ],
  "only the command line and the demo print": [
    { "src/stages/a.ts": 'console.log("done");' },
    { "src/index.ts": "void console.error;" },
  ],
};

/** What looks like the above and is allowed. */
const allowed: Readonly<Record<string, string>> = {
  "src/errors.ts": "export class FirnlineError extends Error {}",
  "src/config.ts": 'import { a } from "./policy/a.ts";',
  "src/policy/a.ts": 'import { z } from "zod"; import yaml from "yaml"; import { d } from "../rows/day.ts";',
  "src/rows/day.ts":
    '// Date.now() loses the microseconds\nimport { a } from "../errors.ts"; const s = "new Date()";',
  "src/rows/pg-types.ts": "/* console.log */",
  "src/segment/manifest.ts": 'import * as z from "zod";',
  "src/parquet/a.ts": 'import zlib from "node:zlib"; import { d } from "../rows/day.ts";',
  "src/hot/port.ts": "",
  "src/hot/postgres/a.ts":
    'import { q } from "../../postgres/database.ts"; import type { Hot } from "../port.ts";',
  "src/postgres/database.ts": 'import pg from "pg"; import { a } from "../errors.ts";',
  "src/archive/port.ts": "",
  "src/archive/memory/a.ts": 'import { a } from "../port.ts"; import { b } from "./b.ts";',
  "src/archive/memory/b.ts": "Date.now();",
  "src/archive/wrap/retry.ts": 'import { a } from "../port.ts";',
  "src/stages/a.ts":
    'import { r } from "../archive/wrap/retry.ts"; import "../parquet/a.ts"; import "../hot/port.ts";',
  "src/repair/a.ts": 'import "../stages/a.ts"; import "../archive/port.ts";',
  "src/wiring.ts":
    'import "./hot/postgres/a.ts"; import "./archive/memory/a.ts"; import "./postgres/database.ts"; import "./stages/a.ts";',
  "src/index.ts": 'export { a } from "./wiring.ts"; export * from "./hot/port.ts";',
  "src/demo/a.ts": 'import "../wiring.ts"; console.log(1);',
  "src/cli/main.ts": 'import "../demo/a.ts"; console.log("a".only);',
  "test/unit/a.test.ts":
    'import "../../src/archive/memory/a.ts"; const text = "test.only("; expect(a).toMatchObject({ b: expect.stringMatching(/x/) });',
};

const treeOf = (files: Readonly<Record<string, string>>): Tree => new Map(Object.entries(files));

describe("the rules", () => {
  test.each(ruleNames)("allow what is right: %s", (name) => {
    expect(RULES[name](treeOf(allowed))).toEqual([]);
  });

  const cases = ruleNames.flatMap((name) =>
    violations[name].map((files) => ({ name, files, sample: JSON.stringify(files).slice(0, 100) })),
  );
  test.each(cases)("find a breach: $name $sample", ({ name, files }) => {
    expect(RULES[name](treeOf({ ...allowed, ...files }))).not.toEqual([]);
  });

  test("a finding says where", () => {
    const broken = treeOf({ "src/plan/a.ts": "// why\nexport const a = Date.now();" });
    expect(RULES["time and chance are arguments on the ground floor"](broken)).toEqual([
      "src/plan/a.ts:2 Date.now",
    ]);
    const round = treeOf({ "src/rows/a.ts": 'import "./b.ts";', "src/rows/b.ts": 'import "./a.ts";' });
    expect(RULES["no import cycle"](round)).toEqual(["src/rows/a.ts -> src/rows/b.ts -> src/rows/a.ts"]);
  });

  test("an exception to the length of files may only shrink", () => {
    const long = treeOf({ "src/a.ts": "a;\n".repeat(400) });
    expect(tooLong(long, { "src/a.ts": 400 })).toEqual([]);
    expect(tooLong(long, { "src/a.ts": 399 })).toHaveLength(1);
    expect(tooLong(long, { "src/a.ts": 401 })).toHaveLength(1);
    expect(tooLong(long, { "src/a.ts": 400, "src/gone.ts": 500 })).toHaveLength(1);
  });

  test("a dependency needs an exact version and a row of the README's table", () => {
    const manifest = (version: string): string =>
      JSON.stringify({ dependencies: { pg: version }, devDependencies: {} });
    const readme = "# Firnline\n\n| package | why |\n|---|---|\n| `pg`, `@types/pg` | the driver |\n";
    expect(dependencyFindings(manifest("8.23.1"), readme)).toEqual([]);
    expect(dependencyFindings(manifest("18.4.0-beta.17"), readme)).toEqual([]);
    expect(dependencyFindings(manifest("npm:@a/pg@8.23.1"), readme)).toEqual([]);
    for (const version of ["^8.23.1", "~8.23.1", "8", "latest", "*", "8.x", "npm:pg@^8.23.1", "npm:pg"]) {
      expect(dependencyFindings(manifest(version), readme)).toHaveLength(1);
    }
    expect(dependencyFindings(manifest("8.23.1"), "pg is the driver")).toHaveLength(1);
    expect(dependencyFindings(manifest("8.23.1"), "| pgsql | a driver |")).toHaveLength(1);
  });
});

describe("the scanner", () => {
  test.each([
    ['import a from "./a.ts";', ["./a.ts"]],
    ["import { type A, b as c } from './a.ts'", ["./a.ts"]],
    ['import type {\n  A,\n  B,\n} from "./a.ts";', ["./a.ts"]],
    ['import a, * as b from "./a.ts"', ["./a.ts"]],
    ['import"./a.ts";export*from"./b.ts"', ["./a.ts", "./b.ts"]],
    ['export { a } from "./a.ts"; export type * as b from "./b.ts";', ["./a.ts", "./b.ts"]],
    ['const a = await import("./a.ts"); type B = typeof import("./b.ts").b;', ["./a.ts", "./b.ts"]],
    ['export const a = 1;\nimport { b } from "node:fs";', ["node:fs"]],
    ['import data from "./a.json" with { type: "json" };', ["./a.json"]],
    ['export function from() { return "./a.ts"; }', []],
    ['// import a from "./a.ts"\n/* import "./b.ts" */', []],
    ["const text = 'import a from \"./a.ts\"';", []],
    ['const text = `import a from "./a.ts" ${await import("./b.ts")}`;', ["./b.ts"]],
    ['const quote = /["\'`]/; import "./a.ts";', ["./a.ts"]],
    ['const half = a / b; import "./a.ts"; const c = d / e;', ["./a.ts"]],
    ["new URL('./a.sql', import.meta.url)", []],
    ['import "./a.ts"; import type { A } from "./a.ts";', ["./a.ts"]],
  ])("reads %j", (source, expected) => {
    expect(importsOf(source)).toEqual(expected);
  });

  test("blanks comments and strings and keeps lines and columns", () => {
    const source = 'a("b\\"c"); // d\n/* e\n */ f(`g ${h({ i: "j" })} k`, /l"/);';
    const expected = 'a("    ");     \n    \n    f(`  ${h({ i: " " })}  `, /  /);';
    expect(blanked(source)).toBe(expected);
    expect(blanked(source, true)).toBe('a("b\\"c");     \n    \n    f(`g ${h({ i: "j" })} k`, /l"/);');
  });
});
