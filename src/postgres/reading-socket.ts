/**
 * A socket that reads into one buffer, again and again. Node gives every piece that comes a buffer of 64 KiB of its own, and
 * throws most of it away: of a COPY of a million rows that is 4 GB to allocate, and a collection of garbage for every few
 * chunks, which took a quarter of an export's time.
 */
import { Socket } from "node:net";

/** Who listens to this event gets views of the one buffer, which are overwritten afterwards; others get copies as `data`. */
export const ROWS = "rows";

const READ_BYTES = 256 * 1024;

/** For pg's `stream`. Within TLS it is the TLS socket that reads, and this one must be as any other. */
export function openReadingSocket({ ssl }: { readonly ssl?: unknown }): Socket {
  if (ssl !== undefined && ssl !== false) return new Socket();
  const buffer = new Uint8Array(READ_BYTES);
  const socket: Socket = new Socket({
    onread: {
      buffer,
      callback: (bytes) => {
        const piece = buffer.subarray(0, bytes);
        if (!socket.emit(ROWS, piece)) socket.emit("data", Buffer.from(piece));
        return true;
      },
    },
  });
  return socket;
}
