/** moto's server on a free port of 127.0.0.1: S3 with RestoreObject, Glacier vaults, KMS. Takes half a second. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../src/demo/server-process.ts";
import type { RunningS3 } from "./s3-ceph.ts";
import { answers, Daemon, findProgram } from "./s3-daemon.ts";
import { UNPACKED_MOTO } from "./s3-install.ts";

const MEMORY_BYTES_MAX = 6 * 1024 ** 3;

/** Null where it is not installed: neither on the PATH, nor unpacked by `s3-install.ts`. */
export async function startMoto(): Promise<RunningS3 | null> {
  const command = await findMoto();
  if (command === null) return null;
  const folder = await mkdtemp(join(tmpdir(), "firnline-moto-"));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const { program, env } = command;
  // It keeps everything in memory, and a test that goes wrong must not take the machine's.
  const bounded = (await findProgram("prlimit")) === null ? [] : ["prlimit", `--as=${MEMORY_BYTES_MAX}`];
  const all = [...bounded, ...program, "-H", "127.0.0.1", "-p", String(port)];
  const serve = all as [string, ...string[]];
  const daemon = new Daemon(serve, join(folder, "moto.log"), folder, env);
  const stop = async (): Promise<void> => {
    await daemon[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await daemon.until(async () => await answers(`${endpoint}/moto-api/`));
  } catch (error) {
    await stop();
    throw error;
  }
  const access = { accessKeyId: "testaccess", secretAccessKey: "testsecret" };
  const address = { name: "moto", title: "moto", endpoint, region: "us-east-1", ...access } as const;
  return { address: { ...address, lifecycleDaySeconds: null }, [Symbol.asyncDispose]: stop };
}

async function findMoto(): Promise<{ program: [string, ...string[]]; env: Record<string, string> } | null> {
  const installed = await findProgram("moto_server");
  if (installed !== null) return { program: [installed], env: {} };
  const unpacked = join(UNPACKED_MOTO, "usr/bin/moto_server");
  if (!existsSync(unpacked)) return null;
  const env = { PYTHONPATH: join(UNPACKED_MOTO, "usr/lib/python3/dist-packages") };
  return { program: ["/usr/bin/python3", "-W", "ignore", unpacked], env };
}
