/** Waiting for something to come about, in a test or outside of one. */
import { setTimeout as sleep } from "node:timers/promises";

const INTERVAL_MS = 10;

/** Asks again and again until the answer is true; throws once `msMax` have passed. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  what: string,
  msMax = 60_000,
): Promise<void> {
  const deadline = performance.now() + msMax;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${msMax} ms in vain until ${what}`);
    await sleep(INTERVAL_MS);
  }
}
