/** firnline run */
import type { RunSummary } from "../../stages/run-pipeline.ts";
import { AS_OF_OPTION, readAsOf } from "../as-of.ts";
import { type Command, EXIT, type ExitCode } from "../command.ts";
import { jsonLine, plural } from "../format.ts";
import { FOLDER_OPTION, openPipeline, readPolicies } from "../pipelines.ts";

export const run: Command = {
  name: "run",
  arguments: "[PIPELINE ...]",
  summary: "move everything that is due: export, seal, prune, transition",
  details:
    "Made for a nightly timer. Stop it whenever you like: every stage is checkpointed, and the next run goes on.\n" +
    "Rows are deleted only after their exact bytes were read back from the archive.",
  examples: ["firnline run", "firnline run audit-logs --json", "firnline run audit-logs --backfill"],
  options: {
    folder: FOLDER_OPTION,
    backfill: { type: "boolean", help: "allow a first run over many days" },
    "as-of": { ...AS_OF_OPTION, help: "count ages from here; for tests and demonstrations only" },
  },
  async run(context) {
    let worst: ExitCode = EXIT.done;
    for (const policy of await readPolicies(context)) {
      await using pipeline = openPipeline(context, policy);
      const started = performance.now();
      const summary = await pipeline.run({
        ...readAsOf(context),
        backfill: context.options["backfill"] === true,
        signal: context.signal,
      });
      const seconds = (performance.now() - started) / 1000;
      for (const line of context.json
        ? runJson(policy.pipeline, summary, seconds)
        : runText(policy.pipeline, summary, seconds)) {
        context.print(line);
      }
      if (summary.state === "partly") worst = EXIT.partly;
    }
    return worst;
  },
};

function runJson(pipeline: string, summary: RunSummary, seconds: number): string[] {
  const { plan, drift, ...rest } = summary;
  return [
    ...drift.map((one) => jsonLine({ pipeline, drift: one })),
    ...plan.held.map((held) => jsonLine({ pipeline, held })),
    jsonLine({ pipeline, run: { ...rest, steps: plan.steps.length, drift: drift.length, seconds } }),
  ];
}

function runText(pipeline: string, summary: RunSummary, seconds: number): string[] {
  const { exported, pruned, deleted, cooled, drift, plan } = summary;
  const done = [
    exported > 0n ? `archived ${plural(exported, "row")}` : "",
    pruned > 0n ? `pruned ${plural(pruned, "row")}` : "",
    deleted > 0n ? `deleted ${plural(deleted, "row")} that are not to be archived` : "",
    cooled > 0n ? `cooled down ${plural(cooled, "row")}` : "",
  ].filter((part) => part !== "");
  return [
    `${pipeline}: ${done.length === 0 ? "nothing to do" : done.join(", ")} (${seconds.toFixed(1)} s)`,
    ...plan.held.map(({ rule, reason }) => `  held back: ${rule}: ${reason}`),
    ...drift.map(({ day, rule, chunk, reason }) => {
      const place = chunk === null ? "" : `, chunk ${chunk}`;
      return `  drift: ${day} ${rule}${place}: ${reason}; its rows stay in Postgres`;
    }),
  ];
}
