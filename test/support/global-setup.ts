/**
 * One Postgres for the whole test run, started when the first test asks for it, so that a run of pure tests does not
 * pay for it. Test files run in processes of their own: they ask through `broker`, a loopback HTTP address whose
 * answer is the server's URL. `FIRNLINE_TEST_POSTGRES_URL` names a server to use instead (a superuser's URL).
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    postgresBroker: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["FIRNLINE_TEST_POSTGRES_URL"];
  let server: Promise<EmbeddedPostgres> | undefined;

  const postgresUrl = async (): Promise<string> => {
    if (given !== undefined) return given;
    server ??= startEmbeddedPostgres({
      durable: true, // the product refuses a server with fsync off
      settings: { max_prepared_transactions: "20", wal_level: "logical" },
    });
    return (await server).url();
  };

  const path = `/${randomUUID()}`; // the answer holds a password, and other users can reach the loopback
  const broker = createServer((request, response) => {
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
  project.provide("postgresBroker", `http://127.0.0.1:${(broker.address() as AddressInfo).port}${path}`);

  return async () => {
    broker.close();
    broker.closeAllConnections();
    await (await server?.catch(() => undefined))?.stop();
  };
}
