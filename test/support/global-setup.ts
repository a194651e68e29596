/** Before and after all test files: the servers that they share, and a place for temporary files (see `broker.ts`). */
import { startRun } from "./broker.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const run = await startRun();
  return async () => await run[Symbol.asyncDispose]();
}
