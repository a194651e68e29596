/**
 * A process of its own that works on a file archive, for tests that kill it, starve it or race it. Prints one
 * JSON line a step. Usage: `node file-archive.child.ts <root> <mode> <key>`.
 */
import { createHash, randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { openFileArchive } from "../../../src/archive/file/file-archive.ts";
import { isFirnlineError } from "../../../src/errors.ts";
import type { EpochMs } from "../../../src/rows/day.ts";

const [root = "", mode = "", key = ""] = process.argv.slice(2);
const archive = openFileArchive({
  root,
  now: () => Date.now() as EpochMs,
  random: randomBytes,
  restoreDelayMs: 0,
});

function print(line: Readonly<Record<string, unknown>>): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

async function* megabytes(count: number, pauseMs: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    yield new Uint8Array(1 << 20).fill(i);
    if (pauseMs === 0) continue;
    print({ streamed: i });
    await sleep(pauseMs);
  }
}

async function attempt(name: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
  try {
    print({
      key: name,
      ...((await archive.create(name, body)).outcome === "created" ? { created: true } : {}),
    });
  } catch (error) {
    if (!isFirnlineError(error)) throw error;
    const { code, retryable, message } = error;
    print({ key: name, code, retryable, message });
  }
}

/** The body of the n-th object of the mode `many`: its name and something that shows truncation. */
function bodyOf(name: string): Uint8Array {
  return Buffer.concat([Buffer.alloc(20_000, name), createHash("sha256").update(name).digest()]);
}

switch (mode) {
  case "slow": // streams for ever, to be killed
    await attempt(key, megabytes(100_000, 5));
    break;
  case "many": // one object after the other, to be killed
    for (let i = 0; i < 100_000; i++) await attempt(`${key}/${i % 7}/${i}`, bodyOf(`${key}/${i % 7}/${i}`));
    break;
  case "race": // one key, as soon as the parent says so
    print({ ready: true });
    await new Promise((resolve) => process.stdin.once("data", resolve));
    await attempt(key, new Uint8Array(1 << 20).fill(process.pid));
    process.stdin.destroy();
    break;
  case "large": // more than there is room for, then what there is room for
    await attempt(key, megabytes(16, 0));
    await attempt(`${key}.small`, new Uint8Array(1000));
    break;
  default:
    throw new RangeError(`unknown mode ${mode}`);
}
