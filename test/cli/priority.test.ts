/** What a run takes of its host: the priority of its threads, those that are there and those to come, and of its session. */
import { spawn } from "node:child_process";
import { getPriority } from "node:os";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";

import { auditRows } from "../support/audit-rows.ts";
import { Scenario } from "../support/scenario.ts";

/** This one's: tests may be run with a lower priority. */
const OWN = getPriority();

const MODULE = new URL("../../src/priority.ts", import.meta.url).href;

interface Priorities {
  /** Of each thread, those of a worker that was started afterwards among them. */
  readonly threads: readonly number[];
  /** Of the session; null where the kernel has none. */
  readonly session: number | null;
}

interface Start {
  /** Whether it has a session of its own. */
  readonly isLeader?: boolean;
  /** What it was started with. */
  readonly nice?: number;
}

/** Asked in a process of its own: not everybody may raise a priority again. */
async function prioritiesAt(
  nice: number,
  { isLeader = false, nice: before = OWN }: Start,
): Promise<Priorities> {
  const script = `
    import { existsSync, readdirSync, readFileSync } from "node:fs";
    import { getPriority, setPriority } from "node:os";
    import { once } from "node:events";
    import { Worker } from "node:worker_threads";
    import { lowerPriority } from ${JSON.stringify(MODULE)};
    const tasks = () => readdirSync("/proc/self/task").map(Number);
    for (const task of tasks()) setPriority(task, ${before});
    lowerPriority(${nice});
    const worker = new Worker("require('node:worker_threads').parentPort.on('message', () => {})", { eval: true });
    await once(worker, "online");
    const threads = tasks().map((task) => getPriority(task));
    await worker.terminate();
    const file = "/proc/self/autogroup";
    const session = existsSync(file) ? readFileSync(file, "utf8").trim().split(" nice ")[1] ?? null : null;
    console.log(JSON.stringify({ threads, session: session === null ? null : Number(session) }));`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: isLeader,
  });
  return JSON.parse(await text(child.stdout)) as Priorities;
}

describe.skipIf(process.platform !== "linux")("the priority of a process", () => {
  it("is that of each of its threads, and of those to come", async () => {
    const { threads } = await prioritiesAt(10, {});
    expect(threads.length).toBeGreaterThan(2);
    expect(new Set(threads)).toEqual(new Set([Math.max(OWN, 10)]));
  });

  it("is left alone at 0, and is never raised", async () => {
    expect(new Set((await prioritiesAt(0, {})).threads)).toEqual(new Set([OWN]));
    expect(new Set((await prioritiesAt(10, { nice: 19 })).threads)).toEqual(new Set([19]));
  });

  it("is its session's too, where that is its own, and never that of others", async () => {
    const before = (await prioritiesAt(0, {})).session;
    const others = await prioritiesAt(before === 11 ? 12 : 11, {});
    expect(others.session).toBe(before);
    // Not every kernel shares cores out by sessions; one that does may leave out the first, which can be this one's.
    const unchanged = (await prioritiesAt(0, { isLeader: true })).session;
    const own = await prioritiesAt(10, { isLeader: true });
    expect([unchanged, own.session]).toEqual(unchanged === null ? [null, null] : [0, 10]);
  });

  it("is lowered by a run", async () => {
    await using scenario = await Scenario.create();
    await scenario.insert(auditRows("2026-01-10", 1, 10));
    await using run = scenario.spawnRun({ FIRNLINE_NICE: "7", FIRNLINE_FAILPOINT: "export.uploaded:pause" });
    await run.stopped();
    expect(getPriority(run.pid)).toBe(Math.max(OWN, 7));
    run.resume();
    expect(await run.ended).toMatchObject({ code: 0 });
  });
});
