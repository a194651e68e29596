/** Where one partition's rows end, the next one's begin, and no third one's. */
import { expect, test } from "vitest";
import type { ExportedChunk } from "../../src/hot/port.ts";
import { ExportGate, EXPORTS_MAX } from "../../src/stages/export-gate.ts";
import { Gate } from "../../src/stages/overlap.ts";
import { RowGroupQueue } from "../../src/stages/row-group-queue.ts";

/** An export that goes as far as it is told to. */
class Exporting {
  begun = false;
  readonly #received = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly done: Promise<void>;

  constructor(gate: ExportGate) {
    this.done = gate.pass(async (onReceived) => {
      this.begun = true;
      await this.#received.promise;
      onReceived();
      await this.#ended.promise;
    });
    this.done.catch(() => {});
  }

  async receive(): Promise<void> {
    this.#received.resolve();
    await settled();
  }

  async end(error?: Error): Promise<void> {
    this.#received.resolve();
    if (error === undefined) this.#ended.resolve();
    else this.#ended.reject(error);
    await settled();
  }
}

/** All promises that can go on by themselves have. */
const settled = async (): Promise<void> => await new Promise((resolve) => void setImmediate(resolve));

function three(): [Exporting, Exporting, Exporting] {
  const gate = new ExportGate(new Gate(EXPORTS_MAX));
  return [new Exporting(gate), new Exporting(gate), new Exporting(gate)];
}

test("the next partition waits until the last row of the one before has come", async () => {
  const [first, second] = three();
  await settled();
  expect([first.begun, second.begun]).toEqual([true, false]);
  await first.receive();
  expect(second.begun).toBe(true);
});

test("a third one waits until the first is uploaded, and the second's rows have come (I10)", async () => {
  const [first, second, third] = three();
  await first.receive();
  await second.receive();
  expect(third.begun).toBe(false);
  await first.end();
  expect(third.begun).toBe(true);
});

test("what ends is not waited for, be it by an error", async () => {
  const [first, second, third] = three();
  await first.end(new Error("broken"));
  await expect(first.done).rejects.toThrow("broken");
  expect([second.begun, third.begun]).toEqual([true, false]);
  await second.end();
  expect(third.begun).toBe(true);
  await third.end();
  await Promise.all([second.done, third.done]);
});

test("a queue says that the last row has come when it has, however its groups are taken", async () => {
  const bound = { time: "0", key: [] };
  const chunks = async function* (): AsyncGenerator<ExportedChunk> {
    for (let chunk = 0; chunk < 3; chunk += 1) {
      yield { first: bound, rows: { rows: 1, columns: [new Uint8Array(10)] }, release: () => {} };
    }
  };
  let hasCome = false;
  const limits = { rowGroupRowsMax: 2, rowGroupBytesMax: 100 };
  const queue = new RowGroupQueue(chunks(), bound, limits, () => (hasCome = true));
  expect(await queue.take()).toHaveLength(2);
  expect(hasCome).toBe(false);
  expect(await queue.take()).toHaveLength(1);
  expect(hasCome).toBe(true);
  expect(await queue.peek()).toBeNull();
});
