/**
 * The house rules that a machine can check, each a function from a tree of sources to its findings, one a line. They
 * are pure, so that `tidy.test.ts` can show for every rule a small tree that breaks it.
 */
import { posix } from "node:path";
import { blanked, importsOf } from "./import-scanner.ts";

/** Paths from the root of the repository, with `/`, to the text of the files. */
export type Tree = ReadonlyMap<string, string>;
type Rule = (tree: Tree) => string[];

const GROUND = ["policy", "rows", "segment", "plan"];
/** `hot`, `archive` and `catalog` hold a port, and its adapters in folders. */
const ROOMS_WITH_PORT = ["hot", "archive", "catalog"];
const ROOMS = ["parquet", ...ROOMS_WITH_PORT];
/** Archived segments, as stages and retrieval both read them. */
const ARCHIVED = "archived";
const FLOW = ["stages", "retrieve"];
/** What puts things right: it looks at archive, catalog and table as a whole, and writes through the stages' journal. */
const REPAIR = "repair";
/** What every stage and retrieval is given: ports and limits; and the places where a test can stop them. */
const GIVEN = ["environment.ts", "failpoint.ts"];
const BELOW_WIRING = [
  "errors.ts",
  "config.ts",
  "price-file.ts",
  ...GIVEN,
  ...GROUND,
  ...ROOMS,
  ARCHIVED,
  ...FLOW,
  REPAIR,
];

/** Which places of `src` a place may import besides itself. A place is a folder of `src`, or a file in it. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "errors.ts": [],
  ...Object.fromEntries(GROUND.map((room) => [room, ["errors.ts", ...GROUND]])),
  ...Object.fromEntries(ROOMS.map((room) => [room, ["errors.ts", ...GROUND]])),
  postgres: ["errors.ts", ...GROUND],
  "failpoint.ts": ["errors.ts"],
  "environment.ts": ["errors.ts", "failpoint.ts", ...GROUND, ...ROOMS],
  [ARCHIVED]: ["errors.ts", ...GROUND, ...ROOMS],
  ...Object.fromEntries(FLOW.map((room) => [room, ["errors.ts", ...GIVEN, ...GROUND, ...ROOMS, ARCHIVED]])),
  [REPAIR]: ["errors.ts", ...GIVEN, ...GROUND, ...ROOMS, ARCHIVED, "stages"],
  "garbage.ts": [],
  "this-process.ts": ["catalog"],
  "priority.ts": [],
  "config.ts": ["errors.ts", "failpoint.ts", "environment.ts", ...GROUND],
  "price-file.ts": ["errors.ts", ...GROUND],
  "wiring.ts": [...BELOW_WIRING, "postgres"],
  "doctor.ts": BELOW_WIRING,
  "pipeline-options.ts": BELOW_WIRING,
  "pipeline.ts": [...BELOW_WIRING, "wiring.ts", "doctor.ts", "this-process.ts", "pipeline-options.ts"],
  "index.ts": [...BELOW_WIRING, "wiring.ts", "doctor.ts", "pipeline.ts", "pipeline-options.ts"],
  demo: [...BELOW_WIRING, "wiring.ts", "pipeline.ts", "pipeline-options.ts"],
  cli: [
    ...BELOW_WIRING,
    "garbage.ts",
    "wiring.ts",
    "doctor.ts",
    "pipeline.ts",
    "pipeline-options.ts",
    "priority.ts",
    "demo",
  ],
};

/** The packages of the ground floor: zod describes the documents that a person or the archive hands us. */
const GROUND_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "errors.ts": [],
  policy: ["zod", "yaml"],
  rows: [],
  segment: ["zod"],
  plan: [],
};

/** Folders of a room with a port that wrap any adapter instead of being one. */
const WRAPPERS = ["archive/wrap"];
/** The adapters that talk to Postgres share one connection module. */
const USERS_OF_POSTGRES = ["hot/postgres", "catalog/postgres"];

const LINES_MAX = 300;
/** Files that are longer, with their length. It may only shrink. */
const LONGER_FILES: Readonly<Record<string, number>> = {};

const DRAWER = /^(?:utils?|helpers?|common|misc|types)$/;

export const RULES = {
  "imports go up only": (tree) => imports(tree).flatMap(({ from, to }) => floorProblem(from, to) ?? []),
  "only wiring.ts names adapters": (tree) =>
    imports(tree).flatMap(({ from, to }) => adapterProblem(from, to) ?? []),
  "the ground floor has no Node built-ins and few packages": (tree) =>
    sources(tree, "src/").flatMap(([file, text]) => {
      const allowed = GROUND_PACKAGES[placeOf(file)];
      const packages = importsOf(text).filter((specifier) => !specifier.startsWith("."));
      return packages
        .filter((name) => allowed !== undefined && !allowed.includes(name))
        .map((name) => `${file} imports ${name}`);
    }),
  "time and chance are arguments on the ground floor": (tree) =>
    sources(tree, "src/").flatMap(([file, text]) =>
      placeOf(file) in GROUND_PACKAGES
        ? mentions(file, text, /\bDate\s*\.\s*now\b|\bMath\s*\.\s*random\b|\bnew\s+Date\b/g)
        : [],
    ),
  "every relative import is a file of ours": (tree) =>
    imports(tree)
      .filter(({ to }) => !tree.has(to))
      .map(({ from, to }) => `${from} imports ${to}, which is not there`),
  "no import cycle": cycles,
  "no drawers": (tree) =>
    [...tree.keys()].filter((file) =>
      file.split("/").some((part) => DRAWER.test(part.replace(/(?:\.test)?\.ts$/, ""))),
    ),
  "files are short": (tree) => tooLong(tree, LONGER_FILES),
  "no test is focused": (tree) =>
    sources(tree, "test/").flatMap(([file, text]) => mentions(file, text, /\.\s*only\s*[.(]/g)),
  // vitest takes it for an object without properties, which every value has: `expect.stringMatching` is meant.
  "no regular expression in toMatchObject, where it matches anything": (tree) =>
    sources(tree, "test/").flatMap(([file, text]) =>
      mentions(file, text, /\btoMatchObject\([^;]*?[\w"]:\s*\/(?![/*])/g),
    ),
  "only the command line and the demo print": (tree) =>
    sources(tree, "src/")
      .filter(([file]) => !["cli", "demo"].includes(placeOf(file)))
      .flatMap(([file, text]) => mentions(file, text, /\bconsole\s*\.\s*\w+/g)),
} as const satisfies Record<string, Rule>;

/** Exact pins, and a row of the README's table for each package that `manifest` names. */
export function dependencyFindings(manifest: string, readme: string): string[] {
  const { dependencies, devDependencies } = JSON.parse(manifest) as Record<string, Record<string, string>>;
  const rows = readme.split("\n").filter((line) => line.trimStart().startsWith("|"));
  const named = rows.flatMap((row) =>
    (row.split("|")[1] ?? "").split(",").map((cell) => cell.replaceAll(/[`*\s]|\(.*?\)|[[\]]/g, "")),
  );
  return Object.entries({ ...dependencies, ...devDependencies }).flatMap(([name, version]) => [
    ...(/^(?:npm:[\w@/-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)
      ? []
      : [`${name} is not pinned: ${version}`]),
    ...(named.includes(name) ? [] : [`${name} has no row in the README's table of dependencies`]),
  ]);
}

/** Exported for its test: the real list of exceptions is empty. */
export function tooLong(tree: Tree, exceptions: Readonly<Record<string, number>>): string[] {
  const findings = sources(tree, "src/").flatMap(([file, text]) => {
    const lines = text.trimEnd().split("\n").length;
    const allowed = exceptions[file] ?? LINES_MAX;
    if (lines > allowed) return [`${file} has ${lines} lines, more than ${allowed}`];
    return file in exceptions && lines < allowed ? [`${file} has ${lines} lines: lower its exception`] : [];
  });
  const gone = Object.keys(exceptions).filter((file) => !tree.has(file));
  return [...findings, ...gone.map((file) => `${file} is gone: remove its exception`)];
}

interface Import {
  readonly from: string;
  readonly to: string;
}

/** All relative imports of the tree, resolved. */
function imports(tree: Tree): Import[] {
  return [...tree].flatMap(([from, text]) =>
    importsOf(text)
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => ({ from, to: posix.join(posix.dirname(from), specifier) })),
  );
}

function sources(tree: Tree, folder: string): [file: string, text: string][] {
  return [...tree].filter(([file]) => file.startsWith(folder));
}

/** `src/hot/postgres/prune.ts` stands in `hot`, `src/wiring.ts` in `wiring.ts`, a test nowhere. */
function placeOf(file: string): string {
  return file.startsWith("src/") ? (file.split("/")[1] as string) : "";
}

function floorProblem(from: string, to: string): string | undefined {
  const [place, target] = [placeOf(from), placeOf(to)];
  if (place === "") return undefined; // tests may look everywhere
  const allowed = MAY_IMPORT[place];
  if (allowed === undefined) return `${from} stands on no floor: say in the rule what it may import`;
  if (place === target || allowed.includes(target)) return undefined;
  if (target === "postgres" && USERS_OF_POSTGRES.includes(adapterOf(from) ?? "")) return undefined;
  return `${from} imports ${to}`;
}

function adapterProblem(from: string, to: string): string | undefined {
  const adapter = adapterOf(to);
  if (adapter === undefined || placeOf(from) === "" || from === "src/wiring.ts") return undefined;
  return adapterOf(from) === adapter ? undefined : `${from} imports ${to}`;
}

/** `hot/postgres` for any file of that adapter. */
function adapterOf(file: string): string | undefined {
  const [, room, folder, below] = file.split("/");
  if (placeOf(file) === "" || !ROOMS_WITH_PORT.includes(room as string) || below === undefined)
    return undefined;
  const adapter = `${room}/${folder}`;
  return WRAPPERS.includes(adapter) ? undefined : adapter;
}

/** One finding for each cycle that a walk in depth runs into, written as the path around it. */
function cycles(tree: Tree): string[] {
  const targets = Map.groupBy(imports(tree), ({ from }) => from);
  const done = new Set<string>();
  const findings: string[] = [];
  const walk = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start !== -1) findings.push([...path.slice(start), file].join(" -> "));
    if (start !== -1 || done.has(file)) return;
    for (const { to } of targets.get(file) ?? []) walk(to, [...path, file]);
    done.add(file);
  };
  for (const file of tree.keys()) walk(file, []);
  return findings;
}

/** Where the code of `text`, without comments and strings, matches. */
function mentions(file: string, text: string, pattern: RegExp): string[] {
  const code = blanked(text);
  return [...code.matchAll(pattern)].map(({ 0: found, index }) => {
    const line = code.slice(0, index).split("\n").length;
    return `${file}:${line} ${found.trim()}`;
  });
}
