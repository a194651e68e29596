/**
 * A COMMIT that reaches the server when its client has long given up, as out of the buffers of a network that stood still.
 * Its transaction holds its locks until then, and commits: the journal must not know less of it than the table does.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createBusyDays, DELETABLE } from "../support/busy-days.ts";
import { isCommit } from "../support/losing-commit.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import type { Scenario } from "../support/scenario.ts";
import { startProxy } from "../support/tcp-proxy.ts";

let template: Scenario;
beforeAll(async () => {
  template = await createBusyDays();
});
afterAll(async () => await template[Symbol.asyncDispose]());

test.each([
  ["the second batch of a segment", "COPY (DELETE FROM", 2],
  ["the second batch of a delete-only rule", "DELETE FROM ONLY", 2],
])("%s is journaled once and whole, by the next run", async (_, statement, nth) => {
  await using scenario = await template.copy();
  let hits = 0;
  let deliver: (() => void) | undefined;
  await using proxy = await startProxy(scenario.url, {
    onAsked(connection, piece) {
      if (!isCommit(piece) || !connection.asked(statement)) return "pass";
      hits += 1;
      if (hits !== nth) return "pass";
      const toServer = connection.orphan();
      deliver = () => toServer(piece);
      return "drop";
    },
  });
  const environ = { FIRNLINE_LOCK_TIMEOUT_MS: "200", FIRNLINE_ATTEMPTS: "1" };
  const failures = await scenario.failuresOf({ url: proxy.url, environ });
  for (const failure of failures) expect(failure).toMatchObject({ code: "E_DATABASE" });
  expect(failures.length).toBeGreaterThan(0);
  deliver?.();
  // Takes the row as soon as the late transaction is through.
  await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = '-infinity'");
  expect((await scenario.run()).state).toBe("done");
  await expectNothingLost(scenario, { deletable: DELETABLE });
  await expectSettled(scenario);
});
