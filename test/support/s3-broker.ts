/**
 * The S3 servers of a test run, as the process sees them that all test files share. A server is taken from the first of
 * these that has it, when the first test file asks:
 *
 * 1. an endpoint: FIRNLINE_TEST_S3_ENDPOINT (in Ceph's place) or FIRNLINE_TEST_MOTO_ENDPOINT, with
 *    FIRNLINE_TEST_S3_REGION, FIRNLINE_TEST_S3_ACCESS_KEY and FIRNLINE_TEST_S3_SECRET_KEY
 * 2. the programs on this machine
 * 3. the same, after installing them: FIRNLINE_TEST_INSTALL=1, root, Debian
 *
 * What was started is ended with the run.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type RunningS3, startCeph } from "./s3-ceph.ts";
import { install, installProblem } from "./s3-install.ts";
import { startMoto } from "./s3-moto.ts";
import type { S3Address, S3ServerName } from "./s3-server.ts";

type Answer = S3Address | { readonly reason: string };

const START: Readonly<Record<S3ServerName, () => Promise<RunningS3 | null>>> = {
  ceph: startCeph,
  moto: startMoto,
};
/** So long a question is kept open; whoever gets no answer asks again. */
const ANSWER_MS_MAX = 20_000;

export class S3Broker implements AsyncDisposable {
  readonly #running: RunningS3[] = [];
  readonly #answers = new Map<string, Promise<Answer>>();

  /** Answers `GET .../ceph` or `.../moto`: 200 with the address or the reason why there is none, 202 not yet. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = request.url?.split("/").at(-1) ?? "";
    if (name !== "ceph" && name !== "moto") {
      response.writeHead(404).end();
      return;
    }
    const answer = await Promise.race([this.#ask(name), sleep(ANSWER_MS_MAX, null, { ref: false })]);
    if (answer === null) response.writeHead(202).end();
    else response.end(JSON.stringify(answer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#answers.values()); // one that is about to start would outlive us
    for (const server of this.#running.splice(0)) await server[Symbol.asyncDispose]();
  }

  #ask(name: S3ServerName): Promise<Answer> {
    let answer = this.#answers.get(name);
    if (answer === undefined) {
      answer = this.#find(name).catch((error: unknown) => ({ reason: `it did not start: ${String(error)}` }));
      this.#answers.set(name, answer);
    }
    return answer;
  }

  async #find(name: S3ServerName): Promise<Answer> {
    const given = fromEnvironment(name);
    if (given !== null) return given;
    let server = await START[name]();
    if (server === null) {
      const problem = installProblem();
      if (problem !== null) return { reason: `${name} is not on this machine; ${problem}` };
      await install(name);
      server = await START[name]();
    }
    if (server === null) return { reason: `${name} was installed, and its programs are not there` };
    this.#running.push(server);
    return server.address;
  }
}

function fromEnvironment(name: S3ServerName): S3Address | null {
  const { env } = process;
  const endpoint = env[name === "ceph" ? "FIRNLINE_TEST_S3_ENDPOINT" : "FIRNLINE_TEST_MOTO_ENDPOINT"];
  if (endpoint === undefined || endpoint === "") return null;
  const daySeconds = Number(env["FIRNLINE_TEST_S3_LIFECYCLE_DAY_SECONDS"] ?? Number.NaN);
  return {
    name,
    title: `${name === "ceph" ? "S3" : "moto"} at ${endpoint}`,
    endpoint,
    region: env["FIRNLINE_TEST_S3_REGION"] ?? "us-east-1",
    accessKeyId: env["FIRNLINE_TEST_S3_ACCESS_KEY"] ?? "testaccess",
    secretAccessKey: env["FIRNLINE_TEST_S3_SECRET_KEY"] ?? "testsecret",
    lifecycleDaySeconds: Number.isNaN(daySeconds) ? null : daySeconds,
  };
}
