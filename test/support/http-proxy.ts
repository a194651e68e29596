/**
 * An HTTP proxy in front of an S3 server that fails as networks and stores do. A script looks at each request and says
 * what becomes of it; what it lets pass goes on unchanged, signature included, so that the server sees its own address.
 */
import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface Asked {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export type Fate =
  /** On to the server, with what it answers. */
  | { readonly kind: "pass" }
  /** Not on to the server: this answer instead. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly body: string;
      readonly headers?: Record<string, string>;
    }
  /** On to the server, and then the connection is reset: the reply is lost. */
  | { readonly kind: "lose" }
  /** On to the server, and this answer instead of its own. */
  | { readonly kind: "replace"; readonly status: number; readonly body: string }
  /** On to the server; of its answer so many bytes, then the connection is reset. */
  | { readonly kind: "cut"; readonly bytes: number }
  /** On to the server; of its answer so many bytes, then nothing, for ever. */
  | { readonly kind: "hang"; readonly bytes: number }
  /** The server never hears of it, and nobody answers. */
  | { readonly kind: "silence" }
  /** On to the server, and what `change` makes of its answer. */
  | { readonly kind: "change"; readonly change: (answer: Answered) => Answered }
  /** On to the server without this header of the request. Only for servers that check no signature. */
  | { readonly kind: "without"; readonly header: string };

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export const PASS: Fate = { kind: "pass" };

/** S3's error document. */
export function errorDocument(code: string, message = "made up by a test"): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
}

export interface HttpProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Requests so far, in order: `PUT /bucket/key?query`. */
  readonly asked: readonly Asked[];
  /** Connections of clients that are open now. */
  connections(): number;
  /** From now on this says what becomes of a request. */
  script(fate: (asked: Asked) => Fate): void;
}

export async function startHttpProxy(target: string): Promise<HttpProxy> {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: false });
  const sockets = new Set<Socket>();
  const asked: Asked[] = [];
  let fateOf: (asked: Asked) => Fate = () => PASS;

  const server = createServer((request, response) => {
    const { method = "GET", url = "/", headers } = request;
    const one: Asked = { method, url, headers };
    asked.push(one);
    const fate = fateOf(one);
    request.on("error", () => {});
    response.on("error", () => {});
    if (fate.kind === "silence") return;
    if (fate.kind === "answer") {
      answerNow(request, response, fate);
      return;
    }
    const passedOn = { ...headers };
    if (fate.kind === "without") delete passedOn[fate.header];
    const options: RequestOptions = { hostname, port, method, path: url, headers: passedOn, agent };
    const outgoing = httpRequest(options, (answer) => void giveBack(answer, response, fate));
    outgoing.on("error", () => response.destroy());
    response.on("close", () => void (response.writableFinished || outgoing.destroy()));
    request.pipe(outgoing);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    connections: () => sockets.size,
    script: (next) => void (fateOf = next),
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      agent.destroy();
      await Promise.resolve();
    },
  };
}

function answerNow(
  request: IncomingMessage,
  response: ServerResponse,
  fate: Fate & { kind: "answer" },
): void {
  request.resume();
  request.on("end", () => {
    response.writeHead(fate.status, { "content-type": "application/xml", ...fate.headers });
    response.end(fate.body);
  });
}

async function giveBack(answer: IncomingMessage, response: ServerResponse, fate: Fate): Promise<void> {
  answer.on("error", () => response.destroy());
  if (fate.kind === "lose" || fate.kind === "replace") {
    answer.resume();
    await once(answer, "end").catch(() => {}); // the server has done it
    if (fate.kind === "lose") response.socket?.resetAndDestroy();
    else response.writeHead(fate.status, { "content-type": "application/xml" }).end(fate.body);
    return;
  }
  if (fate.kind === "change") {
    await changed(answer, response, fate.change).catch(() => response.destroy());
    return;
  }
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  if (fate.kind !== "cut" && fate.kind !== "hang") {
    answer.pipe(response);
    return;
  }
  response.flushHeaders();
  // Never all of it: the client would take the connection for free, which answers nothing more.
  let left = Math.min(fate.bytes, Math.max(0, Number(answer.headers["content-length"] ?? Infinity) - 1));
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const piece = chunk.subarray(0, left);
    left -= piece.byteLength;
    if (piece.byteLength > 0) response.write(piece);
    if (left > 0) continue;
    // What was written is on its way before the connection ends.
    if (fate.kind === "cut") setTimeout(() => response.socket?.resetAndDestroy(), 20);
    return;
  }
}

/** The length is that of the new body, unless it is what was changed. */
async function changed(
  answer: IncomingMessage,
  response: ServerResponse,
  change: (answer: Answered) => Answered,
): Promise<void> {
  const body = Buffer.concat(await Array.fromAsync(answer as AsyncIterable<Buffer>));
  const { "transfer-encoding": _, ...headers } = answer.headers;
  const next = change({ status: answer.statusCode ?? 502, headers, body });
  const isLengthKept = next.body === body || next.headers["content-length"] !== headers["content-length"];
  const length = isLengthKept ? {} : { "content-length": next.body.byteLength };
  response.writeHead(next.status, { ...next.headers, ...length } as OutgoingHttpHeaders);
  response.end(next.body);
}
