/**
 * A transaction pooler in front of Postgres, as PgBouncer is one: between two transactions a client has no backend, and
 * the next one runs on another. Whatever a session keeps (settings, advisory locks, temporary tables, prepared
 * statements) is somebody else's by then. It asks clients for no password, so it listens on the loopback alone.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import pg from "pg";

export interface TransactionPooler extends AsyncDisposable {
  readonly url: string;
  /** Transactions that had a backend so far. */
  transactions(): number;
}

const READY = "Z".charCodeAt(0);
const IDLE = "I".charCodeAt(0);
const TERMINATE = "X".charCodeAt(0);

/** One session of the server's, logged in, whose bytes are ours. */
async function logIn(url: string): Promise<Socket> {
  const client = new pg.Client(url);
  await client.connect();
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.removeAllListeners("data");
  stream.removeAllListeners("close");
  stream.removeAllListeners("error");
  return stream.on("error", () => {});
}

/** `backends` sessions, which are taken in turns. */
export async function startTransactionPooler(serverUrl: string, backends = 5): Promise<TransactionPooler> {
  const all = await Promise.all(Array.from({ length: backends }, async () => await logIn(serverUrl)));
  const free = [...all];
  const waiting: (() => void)[] = [];
  const clients = new Set<Socket>();
  let transactions = 0;

  const take = async (): Promise<Socket> => {
    while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    return free.shift() as Socket;
  };
  const give = (backend: Socket): void => {
    free.push(backend);
    waiting.shift()?.();
  };

  const server = createServer((client) => {
    clients.add(client);
    client.on("error", () => {}).on("close", () => clients.delete(client));
    let backend: Socket | null = null;
    let isTaking = false;
    let hasStarted = false;
    let asked: Buffer[] = [];

    const serve = async (): Promise<void> => {
      if (isTaking) return;
      isTaking = true;
      const mine = await take();
      transactions += 1;
      backend = mine;
      isTaking = false;
      const endings = idleEndings();
      mine.removeAllListeners("data");
      mine.on("data", (piece: Buffer) => {
        const isOver = endings(piece);
        if (isOver) {
          mine.removeAllListeners("data");
          backend = null;
          give(mine);
        }
        if (!client.destroyed) client.write(piece);
      });
      for (const piece of asked.splice(0)) mine.write(piece);
    };

    client.on("data", (piece: Buffer) => {
      if (!hasStarted) {
        hasStarted = true;
        client.write(GREETING);
        return;
      }
      if (piece[0] === TERMINATE && backend === null) return;
      if (backend !== null) {
        backend.write(piece);
        return;
      }
      asked.push(piece);
      void serve();
    });
    // What it has begun nobody will end.
    client.on("close", () => {
      asked = [];
      backend?.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(serverUrl);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    transactions: () => transactions,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      for (const backend of all) backend.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Follows the server's messages; true for the piece that ends with "ready, and in no transaction". */
function idleEndings(): (piece: Buffer) => boolean {
  /** Type and length of the message that has begun, and the one byte that READY has besides. */
  let head: number[] = [];
  /** Bytes of it that are still to come, and that nobody looks at. */
  let skip = 0;
  return (piece) => {
    let isIdle = false;
    for (let at = 0; at < piece.length;) {
      isIdle = false;
      if (skip > 0) {
        const step = Math.min(skip, piece.length - at);
        skip -= step;
        at += step;
        continue;
      }
      head.push(piece[at] as number);
      at += 1;
      if (head.length < 5 || (head[0] === READY && head.length < 6)) continue;
      const [type, a, b, c, d, status] = head as [number, number, number, number, number, number];
      isIdle = type === READY && status === IDLE;
      skip = (a << 24) + (b << 16) + (c << 8) + d - (head.length - 1);
      head = [];
    }
    return isIdle;
  };
}

const message = (type: string, body: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type, "latin1"), length, body]);
};

const GREETING = Buffer.concat([
  message("R", Buffer.alloc(4)),
  message("S", Buffer.from("client_encoding\0UTF8\0", "latin1")),
  message("K", Buffer.alloc(8)),
  message("Z", Buffer.from("I", "latin1")),
]);
