/** A TCP proxy in front of Postgres that watches what is asked and can swallow, stall or reset what comes back. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** One client's connection, as a script of a fault sees it. */
export interface ProxiedConnection {
  /** Whether the client has sent this since its last BEGIN. */
  asked(text: string): boolean;
  /** From now on nothing of the server's reaches the client. */
  stall(): void;
  /** Ends both sides at once, the client's with a reset. */
  reset(): void;
  /** Ends the client's side with a reset, and keeps the server's: it hears what is given to the result, and no more. */
  orphan(): (piece: Buffer) => void;
}

export interface ProxyScript {
  /** Sees each piece that the client sends, before it is passed on; `drop` keeps it from the server. */
  onAsked?(connection: ProxiedConnection, piece: Buffer): "pass" | "drop";
  /** Sees each piece of an answer, before it is passed on; `drop` keeps it from the client. */
  onAnswer?(connection: ProxiedConnection, piece: Buffer): "pass" | "drop";
}

export interface TcpProxy extends AsyncDisposable {
  /** The server's URL, by way of the proxy. */
  readonly url: string;
  /** Ends all connections. */
  resetAll(): void;
}

/** What a client has sent is remembered up to this length; statements of interest are shorter. */
const REMEMBERED_BYTES_MAX = 1 << 20;

export async function startProxy(serverUrl: string, script: ProxyScript): Promise<TcpProxy> {
  const target = new URL(serverUrl);
  const open = new Set<() => void>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    open.add(serve(client, upstream, script, (end) => open.delete(end)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(serverUrl);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as AddressInfo).port);
  const resetAll = (): void => {
    for (const end of open) end();
  };
  return {
    url: url.href,
    resetAll,
    async [Symbol.asyncDispose]() {
      resetAll();
      server.close();
      await once(server, "close");
    },
  };
}

function serve(
  client: Socket,
  upstream: Socket,
  script: ProxyScript,
  onEnd: (end: () => void) => void,
): () => void {
  let memory = "";
  let isStalled = false;
  let isOrphan = false;
  const end = (): void => {
    client.resetAndDestroy();
    upstream.destroy();
    onEnd(end);
  };
  const connection: ProxiedConnection = {
    asked: (text) => memory.includes(text),
    stall: () => (isStalled = true),
    reset: end,
    orphan: () => {
      isOrphan = true;
      client.resetAndDestroy();
      return (piece) => void upstream.write(piece);
    },
  };
  client.on("data", (piece) => {
    const text = piece.toString("latin1");
    memory = text.includes("BEGIN ISOLATION") ? text : (memory + text).slice(-REMEMBERED_BYTES_MAX);
    if (script.onAsked?.(connection, piece) !== "drop") upstream.write(piece);
  });
  upstream.on("data", (piece) => {
    const verdict = script.onAnswer?.(connection, piece);
    if (verdict !== "drop" && !isStalled && !client.destroyed) client.write(piece);
  });
  const onClientsEnd = (): void => (isOrphan ? undefined : end());
  client.on("error", onClientsEnd).on("close", onClientsEnd);
  upstream.on("error", end).on("close", end);
  return end;
}
