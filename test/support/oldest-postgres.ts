/** Puts the oldest server that Firnline works on in the place of the run's own. */
import { MAJORS, startMajor } from "./postgres-majors.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const oldest = Math.min(...MAJORS) as (typeof MAJORS)[number];
  const server = await startMajor(oldest);
  process.env["FIRNLINE_TEST_POSTGRES_URL"] = server.url();
  return async () => await server.stop();
}
