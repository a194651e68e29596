/** firnline run */
import { lowerPriority } from "../../priority.ts";
import type { RunSummary } from "../../stages/run-pipeline.ts";
import { AS_OF_OPTION, readAsOf } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { formatCount, jsonLine, plural } from "../format.ts";
import { eachPipeline, FOLDER_OPTION } from "../pipelines.ts";
import { heldJson, heldText } from "../plan-text.ts";
import { errorFields, errorText } from "../report.ts";

export const run: Command = {
  name: "run",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: true,
  summary: "move everything that is due: export, seal, prune, transition, expire",
  details:
    "Made for a nightly timer. Stop it whenever you like: every stage is checkpointed, and the next run\n" +
    "goes on. Rows are deleted only after their exact bytes were read back from the archive.",
  examples: ["firnline run", "firnline run audit-logs --json", "firnline run audit-logs --backfill"],
  options: {
    folder: FOLDER_OPTION,
    backfill: { type: "boolean", help: "allow a first run over many days" },
    "confirm-sooner": { type: "boolean", help: "allow deleting sooner than the last applied policy" },
    "retry-quarantined": { type: "boolean", help: "export rows anew that changed again and again" },
    "as-of": { ...AS_OF_OPTION, help: "count ages from here; for tests and demonstrations only" },
  },
  async run(context) {
    const asOf = readAsOf(context);
    lowerPriority(context.settings.nice);
    return await eachPipeline(context, async (pipeline, { pipeline: name }) => {
      const started = performance.now();
      const summary = await pipeline.run({
        ...asOf,
        backfill: context.options["backfill"] === true,
        confirmSooner: context.options["confirm-sooner"] === true,
        retryQuarantined: context.options["retry-quarantined"] === true,
        signal: context.signal,
      });
      const seconds = Math.round(performance.now() - started) / 1000;
      const lines = context.json ? runJson(name, summary, seconds) : runText(name, summary, seconds);
      for (const line of lines) context.print(line);
      return summary.state === "partly" ? EXIT.partly : EXIT.done;
    });
  },
};

function runJson(pipeline: string, summary: RunSummary, seconds: number): string[] {
  const { plan, drift, failures, ...rest } = summary;
  return [
    ...failures.map((one) => jsonLine({ pipeline, failure: errorFields(one) })),
    ...drift.map((one) => jsonLine({ pipeline, drift: one })),
    ...plan.held.map((held) => jsonLine({ pipeline, held: heldJson(held) })),
    jsonLine({
      pipeline,
      run: { ...rest, steps: plan.steps.length, drift: drift.length, failures: failures.length, seconds },
    }),
  ];
}

const DRIFT_SHOWN_MAX = 10;

function runText(pipeline: string, summary: RunSummary, seconds: number): string[] {
  const { exported, pruned, deleted, cooled, expired, packed, tagged, replaced, drift, failures, plan } =
    summary;
  const done = [
    exported > 0n ? `archived ${plural(exported, "row")}` : "",
    pruned > 0n ? `pruned ${plural(pruned, "row")}` : "",
    deleted > 0n ? `deleted ${plural(deleted, "row")} that are not to be archived` : "",
    packed > 0n ? `packed ${plural(packed, "row")} of small objects` : "",
    expired > 0n ? `let ${plural(expired, "row")} expire` : "",
    tagged > 0n ? `tagged ${plural(tagged, "row")} for the bucket's rule` : "",
    cooled > 0n ? `cooled down ${plural(cooled, "row")}` : "",
  ].filter((part) => part !== "");
  return [
    `${pipeline}: ${done.length === 0 ? "nothing to do" : done.join(", ")} (${seconds.toFixed(1)} s)`,
    ...failures.map((one) => `failed, and left as it was: ${errorText(one)}`),
    ...(replaced === 0n
      ? []
      : [`${plural(replaced, "row")} changed after they were archived, and were archived anew`]),
    ...heldText(plan.held),
    ...(drift.length === 0
      ? []
      : [
          `drift: ${plural(drift.length, "chunk")} changed faster than they could be moved; their rows stay hot`,
        ]),
    ...drift.slice(0, DRIFT_SHOWN_MAX).map(({ day, rule, chunk, reason, segment }) => {
      const place = chunk === null ? "" : `, chunk ${chunk}`;
      return `  ${day} ${rule}: ${reason} (segment ${segment}${place})`;
    }),
    ...(drift.length > DRIFT_SHOWN_MAX
      ? [`  and ${formatCount(drift.length - DRIFT_SHOWN_MAX)} more; --json lists them all`]
      : []),
  ];
}
