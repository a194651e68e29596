/**
 * The newest and the oldest major version that Firnline works on, with one suite on each: a hazard is a property of the
 * server, and servers differ. The newest is the one of the test run.
 */
import { afterAll, beforeAll, describe } from "vitest";
import type { EmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { createDatabase } from "../support/postgres.ts";
import { type Major, startMajor } from "../support/postgres-majors.ts";
import { Scenario, type ScenarioOptions } from "../support/scenario.ts";

export const BOTH = [18, 15] as const satisfies readonly Major[];

export interface Server {
  readonly major: Major;
  /** As `Scenario.create`, on this server. */
  create(options?: ScenarioOptions): Promise<Scenario>;
  /** All of them on the oldest server, and the first one on the newest, where suites of their own have all. */
  sample<T>(cases: readonly T[]): readonly T[];
  /** An URL of a superuser, for databases of one's own; undefined on the run's server, which `createDatabase` knows. */
  url(): string | undefined;
}

/** Declares the suite once for each of them. */
export function onBoth(title: string, declare: (server: Server) => void): void {
  describe.each(BOTH)(`${title}, on PostgreSQL %i`, (major) => {
    let own: EmbeddedPostgres | undefined;
    beforeAll(async () => {
      if (major !== 18) own = await startMajor(major);
    });
    afterAll(async () => await own?.stop());
    declare({
      major,
      sample: (cases) => (major === 18 ? cases.slice(0, 1) : cases),
      create: async (options) => {
        const scenario = await Scenario.on(await createDatabase(own?.url()), options);
        await scenario.prepare();
        return scenario;
      },
      url: () => own?.url(),
    });
  });
}
