/** A network that loses a COMMIT, or the answer to one. */
import type { ProxyScript } from "./tcp-proxy.ts";

/** `COMMIT` as the simple protocol sends it. */
const COMMIT = Buffer.from("Q\0\0\0\x0bCOMMIT\0", "latin1");
export const isCommit = (piece: Buffer): boolean => piece.includes(COMMIT);

/**
 * Loses the COMMIT number `nth` among those of transactions that have `statement`: the request before the server sees
 * it, or the reply after the server has committed.
 */
export function losingCommit(
  statement: string,
  nth: number,
  lost: "request" | "reply",
): ProxyScript & { hits: number } {
  const waiting = new Set<unknown>();
  const script = {
    hits: 0,
    onAsked(connection, piece) {
      if (!isCommit(piece) || !connection.asked(statement)) return "pass";
      script.hits += 1;
      if (script.hits !== nth) return "pass";
      if (lost === "reply") {
        waiting.add(connection);
        return "pass";
      }
      connection.reset();
      return "drop";
    },
    onAnswer(connection) {
      if (!waiting.has(connection)) return "pass";
      // The server has answered: it has committed. The client will never know.
      connection.reset();
      return "drop";
    },
  } satisfies ProxyScript & { hits: number };
  return script;
}
