/**
 * What a measured process does: it gets its job as an argument, loads and connects, says that it is ready, waits until it
 * may go, and tells what it took. So the start of Node and of its modules is no part of a measurement, and memory and CPU
 * are of one case alone.
 */
import { once } from "node:events";
import { DescendantsPeak, peakRssBytes, processCpuSeconds } from "../process-usage.ts";
import type { Outcome, Report } from "./report.ts";

type Run = () => Promise<Outcome>;

export async function work<Job>(prepare: (job: Job) => Run | Promise<Run>): Promise<void> {
  const run = await prepare(JSON.parse(process.argv[2] as string) as Job);
  process.stdout.write("ready\n");
  await once(process.stdin, "data");
  process.stdin.pause();
  using descendants = new DescendantsPeak();
  const cpuBefore = cpuSeconds();
  const startedMs = performance.now();
  const { rows, bytes = null, isOfPrograms = false, ...extra } = await run();
  const seconds = (performance.now() - startedMs) / 1_000;
  const own = peakRssBytes("self") ?? process.resourceUsage().maxRSS * 1024;
  const report: Report = {
    rows,
    bytes,
    seconds,
    cpuNodeSeconds: cpuSeconds() - cpuBefore,
    peakRssBytes: descendants.bytes + (isOfPrograms ? 0 : own),
    ...extra,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/** With the children that have ended. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000_000 + (processCpuSeconds("self")?.waitedFor ?? 0);
}
