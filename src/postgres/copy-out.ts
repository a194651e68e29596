/**
 * The rows of a `COPY ... TO STDOUT`, straight from the connection's socket: a query for pg's client that takes the socket
 * over until the rows are through. A million rows are as many messages in some 60,000 pieces: what the bytes are copied into
 * on their way, and how often a promise is waited for, tells.
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import type { Socket } from "node:net";
import { ROWS } from "./reading-socket.ts";

/** Takes the next bytes of the rows, cut anywhere; they are somebody else's afterwards. True: something is ready. */
export type CopyTaker = (bytes: Uint8Array, start: number, end: number) => boolean;

/** What pg calls a connection. */
interface Connection {
  readonly stream: Socket;
  query(text: string): void;
}
type DataListener = (data: Buffer) => void;

/** A millisecond of rest for so much, while others have need of the server: 64 MB a second at most, at an even pace. */
const BYTES_A_REST_MS = 64 * 1024;

const HEADER_BYTES = 5;
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const COPY_OUT_RESPONSE = 0x48;
const ERROR_RESPONSE = 0x45;

export class CopyOut {
  readonly #text: string;
  readonly #take: CopyTaker;
  readonly #givesWay: () => boolean;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerBytes = 0;
  /** Bytes that are left of the message under way. */
  #left = 0;
  /** The message under way, if it is none of a COPY: it is pg's. */
  #foreign: Uint8Array[] | null = null;
  #socket: Socket | null = null;
  #pgListener: DataListener | null = null;
  readonly #onBuffer = (data: Buffer): void =>
    // A plain view: what is cut out of a Buffer is a Buffer, and takes four times as long to make.
    this.#onData(new Uint8Array(data.buffer, data.byteOffset, data.length));
  readonly #onView = (view: Uint8Array): void => this.#onData(view);

  readonly #answered = Promise.withResolvers<void>();
  #waiter: PromiseWithResolvers<boolean> | null = null;
  #watchdog: NodeJS.Timeout | null = null;
  #isReady = false;
  #isPaused = false;
  #isOver = false;
  #failure: { readonly error: unknown } | null = null;

  /**
   * While it gives way, it rests after each piece. The server fills its socket and waits too: it works in bursts of a
   * millisecond, and the cores are free in between. At full speed two cores have no pause as long as a chunk is under way, and
   * others' commits wait for the disk for 2 to 8 ms instead of 0.2.
   */
  constructor(text: string, take: CopyTaker, givesWay: () => boolean) {
    this.#text = text;
    this.#take = take;
    this.#givesWay = givesWay;
    // Whoever stops early never waits for it.
    this.#answered.promise.catch(() => {});
  }

  /** Resolves when the server is ready for the next statement; an error may come after the rows, of a constraint. */
  async answered(silenceMs: number, onSilence: () => void): Promise<void> {
    const watchdog = setTimeout(onSilence, silenceMs);
    try {
      await this.#answered.promise;
    } finally {
      clearTimeout(watchdog);
    }
  }

  /** True when something is ready, false when the rows are through. The server waits while nobody asks. */
  async next(silenceMs: number, onSilence: () => void): Promise<boolean> {
    if (this.#isReady) {
      this.#isReady = false;
      return true;
    }
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#isOver) return false;
    this.#waiter = Promise.withResolvers<boolean>();
    this.#watchdog = setTimeout(onSilence, silenceMs);
    if (this.#isPaused) this.#socket?.resume();
    this.#isPaused = false;
    try {
      return await this.#waiter.promise;
    } finally {
      clearTimeout(this.#watchdog);
      [this.#waiter, this.#watchdog] = [null, null];
    }
  }

  // What pg's client calls.

  submit(connection: Connection): void {
    this.#socket = connection.stream;
    const [listener] = connection.stream.listeners("data") as DataListener[];
    this.#pgListener = listener ?? null;
    if (listener !== undefined) connection.stream.off("data", listener);
    connection.stream.on("data", this.#onBuffer);
    connection.stream.on(ROWS, this.#onView);
    connection.query(this.#text);
  }

  handleError(error: unknown): void {
    this.#answered.reject(error);
    // In the middle of the rows, of a timer of pg's own: nobody takes what is still on its way.
    if (!this.#isOver) this.#socket?.destroy();
    this.#fail(error);
  }

  handleReadyForQuery(): void {
    this.#answered.resolve();
  }

  handleCommandComplete(): void {}

  handleEmptyQuery(): void {}

  /** The bytes are overwritten afterwards. */
  #onData(bytes: Uint8Array): void {
    this.#watchdog?.refresh();
    try {
      this.#messages(bytes);
    } catch (error) {
      // Nobody knows where in the stream we are: this connection is of no use any more.
      this.#fail(error);
      this.#socket?.destroy();
      return;
    }
    if (!this.#isReady) {
      if (!this.#isOver && this.#givesWay()) this.#rest(bytes.length);
    } else if (this.#waiter !== null) {
      this.#isReady = false;
      this.#waiter.resolve(true);
    } else if (!this.#isOver) {
      this.#isPaused = true;
      this.#socket?.pause();
    }
  }

  #rest(bytes: number): void {
    this.#socket?.pause();
    setTimeout(() => this.#socket?.resume(), Math.ceil(bytes / BYTES_A_REST_MS));
  }

  #messages(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        if (this.#foreign !== null) this.#foreign.push(bytes.slice(at, end));
        else if (this.#header[0] === COPY_DATA && this.#take(bytes, at, end)) this.#isReady = true;
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#endMessage();
        continue;
      }
      this.#header[this.#headerBytes] = bytes[at] as number;
      this.#headerBytes += 1;
      at += 1;
      if (this.#headerBytes < HEADER_BYTES) continue;
      this.#headerBytes = 0;
      const [code, a, b, c, d] = this.#header as unknown as [number, number, number, number, number];
      this.#left = a * 2 ** 24 + ((b << 16) | (c << 8) | d) - 4;
      if (code === ERROR_RESPONSE) return this.#giveBack([this.#header, bytes.subarray(at)]);
      if (code === COPY_DONE) return this.#giveBack([bytes.subarray(at)]);
      const isOurs = code === COPY_DATA || code === COPY_OUT_RESPONSE;
      this.#foreign = isOurs ? null : [this.#header.slice()];
      if (this.#left === 0) this.#endMessage();
    }
  }

  /** A notice or a changed setting may come between rows. */
  #endMessage(): void {
    if (this.#foreign !== null) this.#pgListener?.(Buffer.concat(this.#foreign));
    this.#foreign = null;
  }

  /** The rows are through, or there are none: what follows is pg's. */
  #giveBack(rest: readonly Uint8Array[]): void {
    this.#isOver = true;
    const [socket, listener] = [this.#socket, this.#pgListener];
    socket?.off("data", this.#onBuffer);
    socket?.off(ROWS, this.#onView);
    if (listener === null) return;
    socket?.on("data", listener);
    const bytes = Buffer.concat(rest);
    // An error that this tells of is heard by whoever waits; without one the rows are complete.
    if (bytes.length > 0) listener(bytes);
    if (!this.#isReady) this.#waiter?.resolve(false);
  }

  #fail(error: unknown): void {
    this.#isOver = true;
    this.#failure ??= { error };
    this.#waiter?.reject(error);
  }
}
