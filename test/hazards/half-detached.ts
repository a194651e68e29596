/** A partition that somebody began to detach and did not finish, as it comes about: the session is cancelled while it waits. */
import { connect } from "../postgres/connect.ts";
import { waitUntil } from "../support/wait-until.ts";
import type { Scenario } from "../support/scenario.ts";

export async function leaveHalfDetached(scenario: Scenario, partition: string): Promise<void> {
  await using reader = await connect(scenario.url);
  await using person = await connect(scenario.url);
  await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM public.audit_logs");
  const { rows } = await person.query("SELECT pg_backend_pid() AS pid");
  // It waits for whoever still sees the partition.
  const detaching = person
    .query(`ALTER TABLE public.audit_logs DETACH PARTITION ${partition} CONCURRENTLY`)
    .then(
      () => "done",
      (error: Error) => error.message,
    );
  const pending = "SELECT FROM pg_inherits WHERE inhdetachpending";
  await waitUntil(async () => (await scenario.query(pending)).length === 1, "it is half detached", 60_000);
  await scenario.query("SELECT pg_cancel_backend($1)", [rows[0].pid]);
  const outcome = await detaching;
  if (!outcome.includes("user request")) throw new Error(`the detach was not cancelled: ${outcome}`);
}
