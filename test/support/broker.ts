/**
 * One Postgres for a whole test run, started when the first test asks for it, so that a run of pure tests does not pay
 * for it. Tests run in processes of their own: they ask a loopback HTTP address, whose answer is the server's URL.
 * `FIRNLINE_TEST_POSTGRES_URL` names a server to use instead (a superuser's URL). The S3 servers are to be had in the
 * same way, see `s3-broker.ts`.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, statfs } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { BROKER_ADDRESS } from "./broker-address.ts";
import { createMigrated, dropMigrated, simplifyPassword } from "./prepared-server.ts";
import { S3Broker } from "./s3-broker.ts";

const MEMORY_FOLDER = "/dev/shm";
/** `statfs` calls it so: TMPFS_MAGIC of `linux/magic.h`. */
const TMPFS = 0x01021994;
/** Databases of tests that run side by side, and the log before them, need some 2 GiB. */
const MEMORY_BYTES_MIN = 6 * 1024 ** 3;

/**
 * Memory in the place of a disk, where there is plenty. The server is durable, as the product demands, and every DROP
 * DATABASE is a checkpoint: on a disk, tests would spend a third of their time in waiting for it.
 */
export async function memoryFolder(): Promise<{ temporaryFolder?: string }> {
  const found = await statfs(MEMORY_FOLDER).catch(() => null);
  if (found?.type !== TMPFS || freemem() < MEMORY_BYTES_MIN) return {};
  return found.bavail * found.bsize < MEMORY_BYTES_MIN ? {} : { temporaryFolder: MEMORY_FOLDER };
}

/**
 * Begins a run: its broker, and a folder for temporary files and compiled modules, which the run's processes inherit.
 * Disposing ends whatever servers were started for it.
 */
export async function startRun(): Promise<AsyncDisposable> {
  // Archives and answers are forced to the disk; in memory, where there is plenty, nobody waits for that.
  const { temporaryFolder = tmpdir() } = await memoryFolder();
  const folder = await mkdtemp(join(temporaryFolder, "firnline-tests-"));
  await chmod(folder, 0o755); // servers of tests run as another user
  const sweep = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  process.once("exit", sweep);
  const compiled = join(folder, "compiled");
  await mkdir(compiled);
  process.env["NODE_COMPILE_CACHE"] = compiled;
  process.env["TMPDIR"] = folder;
  const broker = await startBroker();
  return {
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]();
      process.off("exit", sweep);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function startBroker(): Promise<AsyncDisposable> {
  const given = process.env["FIRNLINE_TEST_POSTGRES_URL"];
  let server: Promise<EmbeddedPostgres> | undefined;

  const postgresUrl = async (): Promise<string> => {
    if (given !== undefined) return given;
    server ??= memoryFolder().then(async (folder) => {
      const started = await startEmbeddedPostgres({
        durable: true, // the product refuses a server with fsync off
        settings: { max_prepared_transactions: "20", wal_level: "logical" },
        ...folder,
      });
      await simplifyPassword(started.url());
      return started;
    });
    return (await server).url();
  };

  let migrated: Promise<string> | undefined;
  /** Name of the database that those of scenarios are copied from. */
  const migratedName = async (): Promise<string> =>
    await (migrated ??= postgresUrl().then(async (url) => await createMigrated(url)));

  const secret = `/${randomUUID()}`; // the answer holds a password, and other users can reach the loopback
  const s3 = new S3Broker();
  const broker = createServer((request, response) => {
    if (request.url?.startsWith(`${secret}/s3/`) === true) {
      void s3.answer(request, response);
      return;
    }
    const answer = { [`${secret}/postgres`]: postgresUrl, [`${secret}/migrated`]: migratedName }[
      request.url ?? ""
    ];
    if (answer === undefined) {
      response.writeHead(404).end();
      return;
    }
    answer().then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  broker.listen(0, "127.0.0.1");
  await once(broker, "listening");
  process.env[BROKER_ADDRESS] = `http://127.0.0.1:${(broker.address() as AddressInfo).port}${secret}`;

  return {
    async [Symbol.asyncDispose]() {
      delete process.env[BROKER_ADDRESS];
      broker.close();
      broker.closeAllConnections();
      await s3[Symbol.asyncDispose]();
      if (given !== undefined && migrated !== undefined) await dropMigrated(given, await migrated);
      await (await server?.catch(() => undefined))?.stop();
    },
  };
}
