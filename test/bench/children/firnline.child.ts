/** Firnline itself: its export alone, whole runs, retrievals, plans. */
import { randomUUID } from "node:crypto";
import { readSettings } from "../../../src/config.ts";
import { collectLessOften } from "../../../src/garbage.ts";
import { parsePolicy } from "../../../src/policy/policy.ts";
import { Pipeline } from "../../../src/pipeline.ts";
import { lowerPriority } from "../../../src/priority.ts";
import { parseRange } from "../../../src/retrieve/request.ts";
import type { EpochMicros } from "../../../src/rows/day.ts";
import { exportPartition } from "../../../src/stages/export.ts";
import { ExportGate, EXPORTS_MAX } from "../../../src/stages/export-gate.ts";
import { Journal } from "../../../src/stages/journal.ts";
import { takeLease } from "../../../src/stages/lease.ts";
import { startPace } from "../../../src/stages/pace.ts";
import { Gate } from "../../../src/stages/overlap.ts";
import { thisProcess } from "../../../src/this-process.ts";
import { wire } from "../../../src/wiring.ts";
import { work } from "./child.ts";
import { CountingArchive, parquetBytes } from "./archive-bytes.ts";
import type { Outcome } from "./report.ts";

export interface FirnlineJob {
  readonly url: string;
  readonly policy: string;
  /** Where the policy's archive is. */
  readonly folder: string;
  /** Microseconds since 1970. */
  readonly asOf: string;
  /** Whether it runs as the command does, with the priority of a background job. */
  readonly isInBackground?: boolean;
  readonly task:
    | { readonly name: "export" | "run" | "plan" }
    | {
        readonly name: "retrieve";
        readonly from: string;
        readonly to: string;
        readonly where: readonly string[];
        readonly out: string;
      };
}

// As the command line does it.
collectLessOften();
await work<FirnlineJob>((job) => {
  const policy = parsePolicy(job.policy, "bench.yaml");
  const options = { policy, connectionString: job.url, settings: readSettings(process.env) };
  const asOf = BigInt(job.asOf) as EpochMicros;
  if (job.isInBackground === true) lowerPriority(options.settings.nice);
  const { task, folder } = job;
  switch (task.name) {
    case "export":
      return async () => {
        await using wired = wire(options);
        return await exportAll(wired.environment, asOf, folder);
      };
    case "run":
      return async () => {
        await using pipeline = new Pipeline(options);
        const { state, exported, pruned } = await pipeline.run({ asOf, backfill: true, confirmSooner: true });
        if (state !== "done") throw new Error(`the run ended as ${state}`);
        // Of a run that deletes, what it deleted: that is the end of the move.
        const rows = Number(policy.prune === "off" ? exported : pruned);
        return { rows, bytes: parquetBytes(folder) };
      };
    case "plan":
      return async () => {
        await using pipeline = new Pipeline(options);
        const startedMs = performance.now();
        const { steps } = await pipeline.plan({ asOf, backfill: true });
        const planSeconds = (performance.now() - startedMs) / 1_000;
        await pipeline.status({ asOf });
        const statusSeconds = (performance.now() - startedMs) / 1_000 - planSeconds;
        return { rows: 0, steps: steps.length, planSeconds, statusSeconds };
      };
    case "retrieve":
      return async () => {
        const archive = CountingArchive.open(folder);
        await using pipeline = new Pipeline({ ...options, archive });
        const range = parseRange(task.from, task.to, task.where);
        const answer = await pipeline.retrieve(range, { out: task.out, requestedBy: "bench" });
        const { bytesRead } = archive;
        return {
          rows: Number(answer.rows),
          bytes: Number(answer.bytes),
          bytesRead,
          shareRead: bytesRead / parquetBytes(folder),
        };
      };
  }
});

/** What a run does for `export`, partition by partition, and nothing else: no seal, no fence. */
async function exportAll(
  environment: ReturnType<typeof wire>["environment"],
  asOf: EpochMicros,
  folder: string,
): Promise<Outcome> {
  const { catalog, hot, policy } = environment;
  const source = await hot.describe();
  const archiveId = randomUUID();
  const register = { archiveId, archiveUrl: environment.archive.url, source: source.identity };
  await catalog.register({ pipeline: policy.pipeline, ...register });
  const lease = await takeLease(environment, { run: randomUUID(), ...thisProcess() });
  const record = await catalog.pipeline(policy.pipeline);
  if (record === null) throw new Error("the pipeline was not registered");
  const journal = new Journal({ ...environment, lease, head: record.journal });
  const { signal } = new AbortController();
  await using pace = startPace(environment, signal);
  const context = { ...environment, source, archiveId, lease, journal, pace, signal };
  const lastDay = Number(asOf / 86_400_000_000n) as Parameters<typeof hot.inventory>[1];
  let rows = 0n;
  const gate = new ExportGate(new Gate(EXPORTS_MAX));
  const { partitions } = await hot.inventory(source, lastDay);
  await Promise.all(
    partitions.map(async (partition) => {
      const segments = await gate.pass(
        async (onReceived) => await exportPartition(context, partition, { onReceived }),
      );
      rows += segments.reduce((sum, segment) => sum + segment.rows, 0n);
    }),
  );
  return { rows: Number(rows), bytes: parquetBytes(folder) };
}
