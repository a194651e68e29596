/**
 * One Postgres for the whole test run, started when the first test asks for it, so that a run of pure tests does not
 * pay for it. Test files run in processes of their own: they ask through `broker`, a loopback HTTP address whose
 * answer is the server's URL. `FIRNLINE_TEST_POSTGRES_URL` names a server to use instead (a superuser's URL). The S3
 * servers are to be had in the same way, see `s3-broker.ts`.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, statfs } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { S3Broker } from "./s3-broker.ts";

declare module "vitest" {
  interface ProvidedContext {
    postgresBroker: string;
    s3Broker: string;
  }
}

const MEMORY_FOLDER = "/dev/shm";
/** `statfs` calls it so: TMPFS_MAGIC of `linux/magic.h`. */
const TMPFS = 0x01021994;
/** Databases of tests that run side by side, and the log before them, need some 2 GiB. */
const MEMORY_BYTES_MIN = 6 * 1024 ** 3;

/**
 * Memory in the place of a disk, where there is plenty. The server is durable, as the product demands, and every DROP
 * DATABASE is a checkpoint: on a disk, tests would spend a third of their time in waiting for it.
 */
async function memoryFolder(): Promise<string | null> {
  const found = await statfs(MEMORY_FOLDER).catch(() => null);
  if (found?.type !== TMPFS || freemem() < MEMORY_BYTES_MIN) return null;
  return found.bavail * found.bsize < MEMORY_BYTES_MIN ? null : MEMORY_FOLDER;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["FIRNLINE_TEST_POSTGRES_URL"];
  let server: Promise<EmbeddedPostgres> | undefined;

  const postgresUrl = async (): Promise<string> => {
    if (given !== undefined) return given;
    server ??= memoryFolder().then(
      async (folder) =>
        await startEmbeddedPostgres({
          durable: true, // the product refuses a server with fsync off
          settings: { max_prepared_transactions: "20", wal_level: "logical" },
          ...(folder === null ? {} : { temporaryFolder: folder }),
        }),
    );
    return (await server).url();
  };

  // Compiled modules, for the workers and for the processes that their tests start: they inherit the variable.
  const compiled = await mkdtemp(join(tmpdir(), "firnline-compiled-"));
  process.env["NODE_COMPILE_CACHE"] = compiled;

  const path = `/${randomUUID()}`; // the answer holds a password, and other users can reach the loopback
  const s3 = new S3Broker();
  const broker = createServer((request, response) => {
    if (request.url?.startsWith(`${path}/s3/`) === true) {
      void s3.answer(request, response);
      return;
    }
    if (request.url !== path) {
      response.writeHead(404).end();
      return;
    }
    postgresUrl().then(
      (url) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  broker.listen(0, "127.0.0.1");
  await once(broker, "listening");
  const url = `http://127.0.0.1:${(broker.address() as AddressInfo).port}${path}`;
  project.provide("postgresBroker", url);
  project.provide("s3Broker", `${url}/s3`);

  return async () => {
    broker.close();
    broker.closeAllConnections();
    await s3[Symbol.asyncDispose]();
    await (await server?.catch(() => undefined))?.stop();
    await rm(compiled, { recursive: true, force: true, maxRetries: 5 });
  };
}
