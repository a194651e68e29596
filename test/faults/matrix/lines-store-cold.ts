/** Lines 8 and 31: transitions and restores that are cut, and an object that turns cold while it is read. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { COLD_DAYS, COLD_ROWS, fillColdDays } from "../../support/cold-days.ts";
import { type Asked, type Fate, PASS } from "../../support/http-proxy.ts";
import { expectNothingStranded } from "../../support/stranded.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import {
  expectDone,
  expectNothingLeft,
  expectStopped,
  isCopy,
  isData,
  isGet,
  isHead,
  isRestore,
  killedAt,
  refuse,
  requestOf,
  runWith,
  type StoreOptions,
  type StoreScene,
  storeScene,
} from "./store-scene.ts";

const TIERS = { cold: { storageClass: "GLACIER", transition: "copy", objectBytesMin: "0B" } };
const COLD_ROWS_ALL = COLD_DAYS.length * COLD_ROWS;

async function coldScene(bench: FaultBench, options: StoreOptions = {}): Promise<StoreScene> {
  const scene = await storeScene(bench, { tiers: TIERS, ...options });
  await fillColdDays(scene.scenario);
  return scene;
}

async function killedAtCopy(bench: FaultBench): Promise<string> {
  const scene = await coldScene(bench);
  const { scenario, proxy, client, bucket } = scene;
  const run = killedAt(scene, isCopy, () => scenario.spawnRun());
  expect(await run.ended).toMatchObject({ signal: "SIGKILL" });
  proxy.script(() => PASS);
  const from = proxy.asked.length;
  expect(await bench.settle(scenario)).toMatchObject({ cooled: COLD_ROWS_ALL });
  const copies = proxy.asked.slice(from).filter(isCopy);
  expect(copies.length, "the copy that was made is found").toBe(COLD_DAYS.length - 1);
  await expectNothingStranded(scenario, client, bucket);
  await expectNothingLeft(scene);
  return "the copy is found, its old version removed, the rest moved";
}

async function killedAfterCopy(bench: FaultBench, point: string): Promise<string> {
  const scene = await coldScene(bench);
  const { scenario } = scene;
  expect(await scenario.spawnRun({ FIRNLINE_FAILPOINT: `${point}:kill@2` }).ended).toMatchObject({
    signal: "SIGKILL",
  });
  await bench.settle(scenario);
  const rows = await scenario.query("SELECT state FROM firnline.segment WHERE storage_class = 'GLACIER'");
  expect(rows.map(({ state }) => state)).toEqual(COLD_DAYS.map(() => "cold"));
  await expectNothingLeft(scene);
  return "the next run goes on with the same copy";
}

const retrieval = (scenario: StoreScene["scenario"], ...more: string[]): { out: string; args: string[] } => {
  const out = join(scenario.folder, "answer.ndjson");
  const range = ["--from", "2025-12-01", "--to", "2026-02-28"];
  return { out, args: ["retrieve", "audit-logs", ...range, "--out", out, ...more] };
};

/** Ceph has no restores; moto's are there at once. */
async function killedAtRestore(bench: FaultBench): Promise<string> {
  const scene = await coldScene(bench, { on: "moto" });
  const { scenario, proxy } = scene;
  expectDone(await runWith(scene, () => PASS));
  const { out, args } = retrieval(scenario);
  const asking = killedAt(scene, isRestore, () => scenario.spawn([...args, "--yes"]));
  expect(await asking.ended).toMatchObject({ signal: "SIGKILL" });
  expect(existsSync(out), "a file under the final name").toBe(false);
  proxy.script(() => PASS);
  // Without a question: it was agreed to.
  const again = await scenario.spawn(args).ended;
  expect(again.code, again.stderr).toBe(0);
  const restores = proxy.asked.filter(isRestore).map(requestOf);
  expect(restores, "each copy is paid for once").toHaveLength(COLD_DAYS.length);
  expect(new Set(restores).size).toBe(COLD_DAYS.length);
  expect((await readFile(out, "utf8")).trimEnd().split("\n")).toHaveLength(COLD_ROWS_ALL + 2 * COLD_ROWS);
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "taken up without a question, no copy paid for twice";
}

/** From the middle of an object's bytes on, its restored copy is gone, until somebody asks for one again. */
function ending(): {
  readonly fateOf: (asked: Asked) => Fate;
  readonly seen: { refused: number; restored: number };
} {
  const seen = { refused: 0, restored: 0 };
  let victim: string | null = null;
  let isGone = false;
  const pathOf = ({ url }: Asked): string => url.split("?")[0] as string;
  const fateOf = (asked: Asked): Fate => {
    if (!isData(asked)) return PASS;
    if (isRestore(asked) && isGone && pathOf(asked) === victim) {
      seen.restored += 1;
      isGone = false;
      return PASS;
    }
    if (isGet(asked) && asked.url.includes(COLD_DAYS[1]) && victim === null) {
      victim = pathOf(asked);
      isGone = true;
      return { kind: "cut", bytes: 100 };
    }
    if (!isGone || pathOf(asked) !== victim) return PASS;
    if (isGet(asked)) {
      seen.refused += 1;
      return refuse(403, "InvalidObjectState");
    }
    if (!isHead(asked)) return PASS;
    return {
      kind: "change",
      change: ({ headers: { "x-amz-restore": _, ...headers }, ...answer }) => ({ ...answer, headers }),
    };
  };
  return { fateOf, seen };
}

async function coldInTheMiddle(bench: FaultBench): Promise<string> {
  const scene = await coldScene(bench, { on: "moto" });
  const { scenario, proxy } = scene;
  expectDone(await runWith(scene, () => PASS));
  const first = retrieval(scenario, "--yes");
  const { fateOf, seen } = ending();
  proxy.script(fateOf);
  const { code, stderr } = await scenario.spawn(first.args).ended;
  proxy.script(() => PASS);
  expect(code, stderr).toBe(0);
  expect(seen.refused, "GETs that came upon a cold object").toBeGreaterThan(0);
  expect(seen.restored, "copies asked for again").toBe(1);
  const answer = await readFile(first.out, "utf8");
  expect(answer.trimEnd().split("\n")).toHaveLength(COLD_ROWS_ALL + 2 * COLD_ROWS);
  // The same answer as that of an undisturbed retrieval.
  expect(await scenario.spawn(first.args).ended).toMatchObject({ code: 0 });
  expect(await readFile(first.out, "utf8")).toBe(answer);
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "restored again, read on at the byte where it stopped";
}

/** Nobody agreed to more than what the copies cost the first time: without a word for it there is no answer. */
async function coldUnasked(bench: FaultBench): Promise<string> {
  const scene = await coldScene(bench, { on: "moto" });
  const { scenario, proxy } = scene;
  expectDone(await runWith(scene, () => PASS));
  const rows = await scenario.count();
  const { out, args } = retrieval(scenario);
  const refused = await scenario.spawn(args).ended;
  await expectStopped(scenario, refused, { code: 2, says: /E_INPUT .*3 cold segments/, rows });
  expect(proxy.asked.filter(isRestore)).toEqual([]);
  expect(existsSync(out)).toBe(false);
  const { out: _, args: agreed } = retrieval(scenario, "--yes");
  expect(await scenario.spawn(agreed).ended).toMatchObject({ code: 0 });
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "refused with what it would cost; nothing asked of the store";
}

export const COLD_LINES: readonly FaultLine[] = [
  {
    number: 8,
    fault: "SIGKILL, reply to CopyObject lost",
    stage: "transition",
    expected: "OK",
    run: killedAtCopy,
  },
  ...["transition.moved", "transition.journaled"].map((point): FaultLine => ({
    number: 8,
    fault: `SIGKILL at ${point}`,
    stage: "transition",
    expected: "OK",
    run: async (bench) => await killedAfterCopy(bench, point),
  })),
  {
    number: 8,
    fault: "SIGKILL, reply to RestoreObject lost",
    stage: "restore",
    expected: "OK",
    run: killedAtRestore,
  },
  {
    number: 31,
    fault: "InvalidObjectState mid-read",
    stage: "retrieve",
    expected: "OK",
    run: coldInTheMiddle,
  },
  {
    number: 31,
    fault: "cold objects, and nobody pays",
    stage: "retrieve",
    expected: "STOP",
    run: coldUnasked,
  },
];
