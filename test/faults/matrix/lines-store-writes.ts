/** Lines 2 and 23 to 25 at the store: uploads that are cut, a store that is busy, and replies that say something else. */
import { expect } from "vitest";
import { unfinishedUploads } from "../../conformance/archive/s3-bucket.ts";
import { type Asked, errorDocument, type Fate, PASS } from "../../support/http-proxy.ts";
import { LARGE, LARGE_ROWS, largeRows } from "../../support/large-rows.ts";
import { expectNothingStranded } from "../../support/stranded.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import {
  DUE_ROWS,
  expectDone,
  expectNothingLeft,
  expectStopped,
  filledScene,
  firstTry,
  isComplete,
  isData,
  isGet,
  isHead,
  isPart,
  isProbe,
  isPut,
  killedAt,
  refuse,
  requestOf,
  runWith,
  type StoreOptions,
  type StoreScene,
  storeScene,
  triesMax,
} from "./store-scene.ts";

const SLOW_DOWN = refuse(503, "SlowDown");
/** So many times a request is sent to a store that is busy: the default of FIRNLINE_S3_ATTEMPTS. */
const ATTEMPTS = 24;

const isWrite = (asked: Asked): boolean => isPut(asked) || isPart(asked) || isComplete(asked);

/** How many requests were sent again, of those that are no trials. */
function sentAgain(asked: readonly Asked[]): number {
  const requests = asked.filter((one) => !isProbe(one)).map(requestOf);
  return requests.length - new Set(requests).size;
}

/** One day in a segment of several parts. */
async function largeScene(bench: FaultBench, options: StoreOptions = {}): Promise<StoreScene> {
  const scene = await storeScene(bench, { ...options, environ: LARGE });
  await scene.scenario.insert(largeRows("2026-01-10"));
  return scene;
}

async function killedAtPart(bench: FaultBench): Promise<string> {
  const { scenario, client, bucket, ...scene } = await largeScene(bench);
  const killed = await scenario.spawnRun({ FIRNLINE_FAILPOINT: "export.uploading:kill@6" }).ended;
  expect(killed).toMatchObject({ signal: "SIGKILL" });
  expect(await unfinishedUploads(client, bucket), "the upload that was cut").toHaveLength(1);
  expect(await bench.settle(scenario)).toMatchObject({ exported: LARGE_ROWS, pruned: LARGE_ROWS });
  await expectNothingStranded(scenario, client, bucket);
  await expectNothingLeft({ scenario, client, bucket, ...scene });
  return "parts ended by the next run, rows archived under a fresh key";
}

/** The store has the object, and nobody who knows of it lives. */
async function killedAtComplete(bench: FaultBench): Promise<string> {
  const scene = await largeScene(bench);
  const { scenario, proxy, client, bucket } = scene;
  const run = killedAt(scene, isComplete, () => scenario.spawnRun());
  expect(await run.ended).toMatchObject({ signal: "SIGKILL" });
  proxy.script(() => PASS);
  expect(await unfinishedUploads(client, bucket)).toEqual([]);
  expect(await bench.settle(scenario)).toMatchObject({ exported: LARGE_ROWS, pruned: LARGE_ROWS });
  const { removed } = await expectNothingLeft(scene);
  expect(removed.objects, "the object that nobody knew of").toBe(1);
  return "exported again; the object that nobody knew of is collected";
}

async function slowDownTwentyTimes(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  let left = 20;
  expectDone(await runWith(scene, () => (left-- > 0 ? SLOW_DOWN : PASS)));
  const tries = triesMax(scene.proxy.asked.slice(0, 21));
  await bench.settle(scene.scenario);
  await expectNothingLeft(scene);
  return `backed off, ${tries} tries of one request, then went on`;
}

async function slowDownForEver(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario, proxy } = scene;
  const run = await runWith(scene, (asked) => (isPut(asked) && isData(asked) ? SLOW_DOWN : PASS));
  await expectStopped(scenario, run, {
    code: 1,
    says: /E_ARCHIVE .*the store asks to slow down \(503 SlowDown.*Run again later; it goes on where it stopped/,
  });
  const tries = triesMax(proxy.asked.filter((asked) => isPut(asked) && isData(asked)));
  expect(tries).toBe(ATTEMPTS);
  expect(await bench.settle(scenario)).toMatchObject({ exported: DUE_ROWS });
  await expectNothingLeft(scene);
  return `${tries} tries, then E_ARCHIVE: run again later`;
}

/** Each write of the run is taken, and its first reply says that it was not. */
async function writesTaken(scene: StoreScene, bench: FaultBench, fate: Fate): Promise<string> {
  const { scenario, proxy, client, bucket } = scene;
  const from = proxy.asked.length;
  expectDone(await runWith(scene, firstTry(isWrite, fate)));
  const twice = sentAgain(proxy.asked.slice(from).filter(isWrite));
  expect(twice, "writes that were sent again").toBeGreaterThan(5);
  // At once, and without a collector: no second version, no part.
  await expectNothingStranded(scenario, client, bucket);
  await bench.settle(scenario);
  await expectNothingStranded(scenario, client, bucket);
  return `${twice} writes sent again, each object there once`;
}

const FAILED_500: Fate = { kind: "replace", status: 500, body: errorDocument("InternalError") };

/** Whose is the key? The store says that it is taken, and then nothing more. */
async function takenAndSilent(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench, { versioned: false });
  const { scenario } = scene;
  let entries = 0;
  let lost = "";
  const run = await runWith(scene, (asked) => {
    const path = asked.url.split("?")[0] as string;
    if (isPut(asked) && path.includes("/journal/") && lost === "") {
      entries += 1;
      if (entries < 3) return PASS;
      lost = path;
      return { kind: "lose" };
    }
    return (isHead(asked) || isGet(asked)) && path === lost ? refuse(500, "InternalError") : PASS;
  });
  await expectStopped(scenario, run, { code: 3, says: /E_ARCHIVE .*the store failed \(500/ });
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "E_ARCHIVE; the next run finds its own entry";
}

/** Never in the headers: the status was sent before the store knew. Nothing of it reaches the store. */
const FAILED_200: Fate = { kind: "answer", status: 200, body: errorDocument("InternalError") };

async function errorsInside(bench: FaultBench): Promise<string> {
  const scene = await largeScene(bench);
  const { scenario, proxy, client, bucket } = scene;
  const from = proxy.asked.length;
  const matches = (asked: Asked): boolean =>
    isWrite(asked) || asked.method === "POST" || (asked.method === "GET" && !isGet(asked));
  expectDone(await runWith(scene, firstTry(matches, FAILED_200)));
  const again = sentAgain(proxy.asked.slice(from).filter(matches));
  expect(await scenario.count()).toBe(0);
  await expectNothingStranded(scenario, client, bucket);
  await bench.settle(scenario);
  await expectNothingStranded(scenario, client, bucket);
  return `none taken for a result; ${again} requests sent again`;
}

async function errorsInsideForEver(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario } = scene;
  const run = await runWith(scene, (asked) => (isPut(asked) && isData(asked) ? FAILED_200 : PASS));
  await expectStopped(scenario, run, { code: 1, says: /E_ARCHIVE .*the store failed/ });
  expect(await bench.settle(scenario)).toMatchObject({ exported: DUE_ROWS });
  await expectNothingLeft(scene);
  return "E_ARCHIVE; nothing committed, nothing deleted";
}

export const WRITE_LINES: readonly FaultLine[] = [
  {
    number: 2,
    fault: "SIGKILL between two parts of an upload",
    stage: "export",
    expected: "OK",
    run: killedAtPart,
  },
  {
    number: 2,
    fault: "SIGKILL, reply to CompleteMultipartUpload lost",
    stage: "export",
    expected: "OK",
    run: killedAtComplete,
  },
  { number: 23, fault: "SlowDown x20", stage: "run", expected: "OK", run: slowDownTwentyTimes },
  { number: 23, fault: "SlowDown for ever", stage: "export", expected: "STOP", run: slowDownForEver },
  {
    number: 24,
    fault: "500 after the store took it",
    stage: "run",
    expected: "OK",
    run: async (bench) => await writesTaken(await filledScene(bench), bench, FAILED_500),
  },
  {
    number: 24,
    fault: "the same in a bucket without versions",
    stage: "run",
    expected: "OK",
    run: async (bench) =>
      await writesTaken(await filledScene(bench, { versioned: false }), bench, FAILED_500),
  },
  {
    number: 24,
    fault: "replies lost, uploads of parts among them",
    stage: "run",
    expected: "OK",
    run: async (bench) => await writesTaken(await largeScene(bench), bench, { kind: "lose" }),
  },
  {
    number: 24,
    fault: "reply lost, and nobody says whose it is",
    stage: "journal",
    expected: "STOP",
    run: takenAndSilent,
  },
  { number: 25, fault: "200 with an error body", stage: "run", expected: "OK", run: errorsInside },
  {
    number: 25,
    fault: "200 with an error body for ever",
    stage: "export",
    expected: "STOP",
    run: errorsInsideForEver,
  },
];
