/** Stages that go on at once: who waits for whom, and for how many. */
import { describe, expect, it } from "vitest";

import { Gate, Overlap } from "../../src/stages/overlap.ts";

interface Piece {
  readonly work: () => Promise<void>;
  readonly end: () => void;
}

/** Work that begins when it is let in, says so, and ends when it is told to. */
function piecesOf(names: readonly string[], said: string[]): Map<string, Piece> {
  return new Map(
    names.map((name) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const work = async (): Promise<void> => {
        said.push(`${name} begins`);
        await promise;
        said.push(`${name} ends`);
      };
      return [name, { work, end: resolve }];
    }),
  );
}

/** All promises that can go on by themselves have. */
const settled = async (): Promise<void> => await new Promise((resolve) => void setImmediate(resolve));

describe("a gate", () => {
  it("lets one in at a time, in the order in which they came", async () => {
    const said: string[] = [];
    const pieces = piecesOf(["a", "b", "c"], said);
    const gate = new Gate();
    const passed = [...pieces.values()].map(async ({ work }) => await gate.pass(work));
    pieces.get("c")?.end();
    await settled();
    expect(said).toEqual(["a begins"]);
    pieces.get("a")?.end();
    await settled();
    expect(said).toEqual(["a begins", "a ends", "b begins"]);
    pieces.get("b")?.end();
    await Promise.all(passed);
    expect(said.slice(3)).toEqual(["b ends", "c begins", "c ends"]);
  });

  it("lets in as many as it is wide, and the next one when one of them has left", async () => {
    const said: string[] = [];
    const pieces = piecesOf(["a", "b", "c"], said);
    const gate = new Gate(2);
    const passed = [...pieces.values()].map(async ({ work }) => await gate.pass(work));
    await settled();
    expect(said).toEqual(["a begins", "b begins"]);
    pieces.get("b")?.end();
    await settled();
    expect(said).toEqual(["a begins", "b begins", "b ends", "c begins"]);
    for (const { end } of pieces.values()) end();
    await Promise.all(passed);
  });

  it("lets one be alone, and nobody in before it who came later", async () => {
    const said: string[] = [];
    const pieces = piecesOf(["a", "alone", "c", "d"], said);
    const gate = new Gate(2);
    const passed = [...pieces].map(async ([name, { work }]) =>
      name === "alone" ? await gate.passAlone(work) : await gate.pass(work),
    );
    await settled();
    expect(said).toEqual(["a begins"]);
    pieces.get("a")?.end();
    await settled();
    expect(said.slice(2)).toEqual(["alone begins"]);
    pieces.get("alone")?.end();
    await settled();
    expect(said.slice(4)).toEqual(["c begins", "d begins"]);
    for (const { end } of pieces.values()) end();
    await Promise.all(passed);
  });

  it("is open to the next one after a failure, which the one who failed hears of", async () => {
    const gate = new Gate();
    const failing = gate.pass(async () => await Promise.reject(new Error("broken")));
    const next = gate.pass(async () => await Promise.resolve("done"));
    await expect(failing).rejects.toThrow("broken");
    expect(await next).toBe("done");
  });
});

describe("an overlap", () => {
  it("begins in order, and no more at once than it may", async () => {
    const said: string[] = [];
    const pieces = piecesOf(["a", "b", "c"], said);
    const overlap = new Overlap(2);
    const begun = (async () => {
      for (const { work } of pieces.values()) await overlap.begin(work);
    })();
    await settled();
    expect(said).toEqual(["a begins", "b begins"]);
    pieces.get("b")?.end();
    await begun;
    expect(said).toEqual(["a begins", "b begins", "b ends", "c begins"]);
    let isIdle = false;
    const idle = overlap.idle().then(() => (isIdle = true));
    pieces.get("a")?.end();
    await settled();
    expect(isIdle).toBe(false);
    pieces.get("c")?.end();
    await idle;
    expect(said.slice(4)).toEqual(["a ends", "c ends"]);
  });
});
