/** The socket while rows come over it: ours until they are through, and pg's for everything else. */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { CopyOut } from "../../../src/postgres/copy-out.ts";

const SILENCE_MS = 60_000;
const never = (): void => {
  throw new Error("the server was silent");
};

function message(code: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(code), length, Buffer.from(body, "latin1")]);
}

/** A connection as pg has it, with what it is sent and what its own listener hears. */
class FakeConnection {
  readonly stream = new EventEmitter() as EventEmitter & {
    pause(): void;
    resume(): void;
    destroy(): void;
  };
  readonly heard: Buffer[] = [];
  asked = "";
  isPaused = false;
  isDestroyed = false;

  constructor() {
    this.stream.pause = () => void (this.isPaused = true);
    this.stream.resume = () => void (this.isPaused = false);
    this.stream.destroy = () => void (this.isDestroyed = true);
    this.stream.on("data", (data: Buffer) => void this.heard.push(data));
  }

  query(text: string): void {
    this.asked = text;
  }

  get heardText(): string {
    return Buffer.concat(this.heard).toString("latin1");
  }

  send(bytes: Buffer): void {
    this.stream.emit("data", bytes);
  }
}

/** A COPY that has begun. Rows are ready when a piece ends in a full stop. */
function begin(givesWay = (): boolean => false): {
  connection: FakeConnection;
  copy: CopyOut;
  rows: () => string;
} {
  const connection = new FakeConnection();
  let text = "";
  const take = (bytes: Uint8Array, start: number, end: number): boolean => {
    text += Buffer.from(bytes.subarray(start, end)).toString("latin1");
    return text.endsWith(".");
  };
  const copy = new CopyOut("COPY t TO STDOUT", take, givesWay);
  copy.submit(connection as unknown as { stream: Socket; query(text: string): void });
  expect(connection.asked).toBe("COPY t TO STDOUT");
  return { connection, copy, rows: () => text };
}

const REST = Buffer.concat([message("C", "COPY 3\0"), message("Z", "I")]);

describe("rows of a COPY", () => {
  it("come out whole however the stream is cut, with notices and settings between them left to pg", async () => {
    const notice = message("N", "a notice\0");
    const setting = message("S", "TimeZone\0UTC\0");
    const stream = Buffer.concat([
      message("H", "\x01\x00\x02"),
      message("d", "one"),
      notice,
      message("d", ""),
      message("d", "two"),
      setting,
      message("d", "three"),
      message("c", ""),
      REST,
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }), async (sizes) => {
        const { connection, copy, rows } = begin();
        const over = copy.next(SILENCE_MS, never);
        for (let at = 0, cut = 0; at < stream.length; cut += 1) {
          const end = at + (sizes[cut % sizes.length] as number);
          connection.send(stream.subarray(at, end));
          at = end;
        }
        expect(await over).toBe(false);
        expect(rows()).toBe("onetwothree");
        expect(connection.heardText).toBe(Buffer.concat([notice, setting, REST]).toString("latin1"));
      }),
    );
  });

  it("are rested from after each piece while others have need of the server, and no longer", async () => {
    vi.useFakeTimers();
    try {
      let isNeeded = true;
      const { connection, copy, rows } = begin(() => isNeeded);
      const over = copy.next(SILENCE_MS, never);
      for (const piece of ["one", "two"]) {
        connection.send(message("d", piece));
        expect(connection.isPaused).toBe(true);
        vi.advanceTimersByTime(1);
        expect(connection.isPaused).toBe(false);
      }
      // The last piece: pg reads what follows.
      connection.send(Buffer.concat([message("d", "three"), message("c", "")]));
      expect(connection.isPaused).toBe(false);
      connection.send(REST);
      expect(await over).toBe(false);
      expect(rows()).toBe("onetwothree");

      const free = begin(() => isNeeded);
      const ready = free.copy.next(SILENCE_MS, never);
      isNeeded = false;
      free.connection.send(message("d", "one"));
      expect(free.connection.isPaused).toBe(false);
      free.connection.send(message("d", "two."));
      expect(await ready).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });

  it("are awaited one batch at a time, and the server waits while nobody asks", async () => {
    const { connection, copy } = begin();
    const first = copy.next(SILENCE_MS, never);
    connection.send(message("d", "one"));
    connection.send(message("d", "two."));
    expect(await first).toBe(true);
    expect(connection.isPaused).toBe(false);
    connection.send(message("d", "three."));
    expect(connection.isPaused).toBe(true);
    expect(await copy.next(SILENCE_MS, never)).toBe(true);
    expect(connection.isPaused).toBe(true);
    const last = copy.next(SILENCE_MS, never);
    expect(connection.isPaused).toBe(false);
    connection.send(Buffer.concat([message("c", ""), REST]));
    expect(await last).toBe(false);
    expect(await copy.next(SILENCE_MS, never)).toBe(false);
  });

  it("that are ready when the last one has come are given out before the end", async () => {
    const { connection, copy } = begin();
    const first = copy.next(SILENCE_MS, never);
    connection.send(Buffer.concat([message("d", "one."), message("c", ""), REST]));
    expect(await first).toBe(true);
    expect(await copy.next(SILENCE_MS, never)).toBe(false);
    expect(connection.isPaused).toBe(false);
  });
});

describe("an error", () => {
  it("of the server goes to pg, which tells of it, and the socket is pg's again", async () => {
    const { connection, copy } = begin();
    const error = message("E", "SERROR\0");
    connection.send(Buffer.concat([message("d", "one"), error.subarray(0, 3)]));
    connection.send(error.subarray(3));
    connection.send(message("Z", "I"));
    expect(connection.heardText).toBe(Buffer.concat([error, message("Z", "I")]).toString("latin1"));
    copy.handleError(new Error("permission denied"));
    await expect(copy.next(SILENCE_MS, never)).rejects.toThrow("permission denied");
    await expect(copy.answered(SILENCE_MS, never)).rejects.toThrow("permission denied");
  });

  it("after the last row is found by who waits for the answer", async () => {
    const { connection, copy } = begin();
    const over = copy.next(SILENCE_MS, never);
    connection.send(message("c", ""));
    expect(await over).toBe(false);
    copy.handleError(new Error("violates foreign key constraint"));
    await expect(copy.answered(SILENCE_MS, never)).rejects.toThrow("violates foreign key constraint");
  });

  it("that pg makes up in the middle of the rows ends the connection, as more of them would come", async () => {
    const { connection, copy } = begin();
    const over = copy.next(SILENCE_MS, never);
    connection.send(message("d", "one"));
    copy.handleError(new Error("Query read timeout"));
    await expect(over).rejects.toThrow("Query read timeout");
    expect(connection.isDestroyed).toBe(true);
  });

  it("that never comes, nor any answer, is not waited for longer than silence may last", async () => {
    const { connection, copy } = begin();
    connection.send(message("c", ""));
    const silent = new Promise<void>((resolve) => {
      const answered = copy.answered(1, () => {
        resolve();
        copy.handleError(new Error("the server was silent"));
      });
      answered.catch(() => {});
    });
    await silent;
    await expect(copy.answered(SILENCE_MS, never)).rejects.toThrow("the server was silent");
  });

  it("in what takes the rows ends the connection: nobody knows where in the stream it is", async () => {
    const connection = new FakeConnection();
    const take = (): boolean => {
      throw new Error("the signature is wrong");
    };
    const copy = new CopyOut("COPY t TO STDOUT", take, () => false);
    copy.submit(connection as unknown as { stream: Socket; query(text: string): void });
    const over = copy.next(SILENCE_MS, never);
    connection.send(message("d", "rubbish"));
    await expect(over).rejects.toThrow("the signature is wrong");
    expect(connection.isDestroyed).toBe(true);
  });
});
