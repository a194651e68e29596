/** Lines 9, 26, 27 and 30: bytes that do not come, come otherwise, or are gone. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import { auditRows } from "../../support/audit-rows.ts";
import { type Answered, type Asked, type Fate, type HttpProxy, PASS } from "../../support/http-proxy.ts";
import type { Ending } from "../../support/firnline-process.ts";
import { waitUntil } from "../../support/wait-until.ts";
import type { Scenario } from "../../support/scenario.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import {
  DUE_ROWS,
  expectDone,
  expectNothingLeft,
  expectStopped,
  filledScene,
  HOT_ROWS,
  isData,
  isGet,
  isHead,
  isProbe,
  runWith,
  storeScene,
  type StoreScene,
} from "./store-scene.ts";

const change = (how: (answer: Answered) => Answered): Fate => ({ kind: "change", change: how });

/** The store has only the first half of it, and says so. */
const HALVED = change(({ status, headers, body }) => {
  const half = body.subarray(0, Math.floor(body.byteLength / 2));
  const [, first] = /^bytes (\d+)-/.exec(String(headers["content-range"])) ?? [];
  const end = Number(first) + half.byteLength;
  const range = first === undefined ? {} : { "content-range": `bytes ${first}-${end - 1}/${end}` };
  return { status, headers: { ...headers, ...range }, body: half };
});

const FLIPPED = change(({ status, headers, body }) => {
  const other = Buffer.from(body);
  const at = Math.floor(other.byteLength / 2);
  if (other.byteLength > 0) other[at] = (other[at] as number) ^ 1;
  return { status, headers, body: other };
});

const REPLACED = change(({ status, headers, body }) => ({
  status,
  headers: { ...headers, etag: `"${"0".repeat(32)}"` },
  body,
}));

const isManifest = ({ url }: Asked): boolean => url.includes("/manifests/");
/** Of one segment. */
const ROWS = 70;

const BROKEN_OFF: Fate = { kind: "cut", bytes: 0 };

async function damagedAtSeal(bench: FaultBench, fate: Fate, says: RegExp): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario } = scene;
  const run = await runWith(scene, (asked) => (isGet(asked) && isData(asked) ? fate : PASS));
  await expectStopped(scenario, run, { code: 3, says });
  const { exported, pruned } = await bench.settle(scenario);
  expect(pruned).toBe(DUE_ROWS);
  await expectNothingLeft(scene);
  return `${says.source.slice(0, 9).trim()}, nothing deleted; ${exported === 0 ? "sealed" : "exported anew"} by the next run`;
}

/** The manifest is read once more before the first row goes, and the object looked at before each batch. */
async function damagedAtPrune(bench: FaultBench): Promise<string> {
  const scene = await storeScene(bench, { versioned: false });
  const { scenario } = scene;
  await scenario.insert(auditRows("2026-01-11", 1_001, ROWS));
  const sealing = await scenario.spawnRun({ FIRNLINE_FAILPOINT: "seal.sealed:kill" }).ended;
  expect(sealing).toMatchObject({ signal: "SIGKILL" });
  const damages: readonly ((asked: Asked) => Fate)[] = [
    (asked) => (isGet(asked) && isManifest(asked) ? FLIPPED : PASS),
    (asked) => (isHead(asked) && isData(asked) ? REPLACED : PASS),
  ];
  for (const script of damages) {
    const run = await runWith(scene, script);
    await expectStopped(scenario, run, { code: 1, says: /E_VERIFY/, rows: ROWS });
  }
  expect(await bench.settle(scenario)).toMatchObject({ exported: 0, pruned: ROWS });
  await expectNothingLeft(scene);
  return "E_VERIFY, nothing deleted; pruned by the next run";
}

async function answerFiles(scenario: Scenario): Promise<string[]> {
  return (await readdir(scenario.folder)).filter((name) => name.startsWith("answer"));
}

async function damagedAtRetrieval(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario, proxy } = scene;
  expectDone(await runWith(scene, () => PASS));
  for (const isDamaged of [isData, isManifest]) {
    for (const [fate, says] of [
      [FLIPPED, /^E_(?:VERIFY|FORMAT)/],
      [HALVED, /^E_(?:ARCHIVE|VERIFY)/],
    ] as const) {
      proxy.script((asked) => (isGet(asked) && isDamaged(asked) ? fate : PASS));
      await expect(scenario.retrieve(), "a retrieval").rejects.toThrow(says);
      expect(await answerFiles(scenario), "what a refused retrieval leaves").toEqual([]);
    }
  }
  proxy.script(() => PASS);
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "refused, no file";
}

const HUNG = 100;
const SOCKETS = 8;

/** Connections of this process to the proxy: the other ends are in it too. */
function socketsTo({ endpoint }: HttpProxy): number {
  const port = Number(new URL(endpoint).port);
  const { _getActiveHandles: handles } = process as unknown as {
    _getActiveHandles(): { readonly remotePort?: number; readonly destroyed?: boolean }[];
  };
  return handles.call(process).filter((one) => one.remotePort === port && one.destroyed !== true).length;
}

async function hungBodies(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario, proxy } = scene;
  const environ = { FIRNLINE_S3_SILENCE_MS: "100", FIRNLINE_S3_SOCKETS: `${SOCKETS}` };
  const before = socketsTo(proxy);
  let left = HUNG;
  let most = 0;
  proxy.script((asked) => {
    most = Math.max(most, proxy.connections());
    return isGet(asked) && left-- > 0 ? { kind: "hang", bytes: 1 } : PASS;
  });
  expect((await scenario.run({ environ })).state).toBe("done");
  expect(await scenario.count(), "rows that stay").toBe(HOT_ROWS);
  // What the run did not come to.
  for (let rounds = 0; left > 0 && rounds < 10; rounds += 1) await scenario.retrieve({ environ });
  expect(left, "bodies that still could hang").toBeLessThanOrEqual(0);
  await waitUntil(() => proxy.connections() === 0, "all connections are closed");
  expect(socketsTo(proxy), "sockets that are left").toBe(before);
  expect(most, "connections at once").toBeLessThanOrEqual(SOCKETS);
  proxy.script(() => PASS);
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return `${HUNG} bodies left in time, ${most} connections at once, none at the end`;
}

/** Lists, tags and replies hang too; nobody waits for their end for ever. */
async function hungDocuments(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario, proxy } = scene;
  const seen = new Set<string>();
  let hung = 0;
  const run = await runWith(
    scene,
    (asked) => {
      const isDocument = asked.method === "GET" && !isGet(asked) && !isProbe(asked);
      if (!isDocument && !isHead(asked)) return PASS;
      const [path = "", query = ""] = asked.url.split("?");
      // Of each kind one: they cost half a second each.
      const kind = isHead(asked) ? `HEAD ${path.split("/")[3]}` : query.replaceAll(/=[^&]*/g, "");
      if (seen.has(kind)) return PASS;
      seen.add(kind);
      hung += 1;
      return isHead(asked) ? { kind: "silence" } : { kind: "hang", bytes: 30 };
    },
    { FIRNLINE_S3_ANSWER_MS: "500" },
  );
  expectDone(run);
  expect(hung).toBeGreaterThan(4);
  expect(
    [...seen].some((kind) => kind.includes("versions")),
    "a listing hung",
  ).toBe(true);
  await waitUntil(() => proxy.connections() === 0, "all connections are closed");
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return `${hung} answers left in time and asked for again`;
}

/** The run stands still between the journal's `prune-started` and its last look at the object. */
async function whilePruneStands(
  scene: StoreScene,
  work: (object: {
    readonly Bucket: string;
    readonly Key: string;
    readonly VersionId?: string;
  }) => Promise<void>,
): Promise<Ending> {
  const { scenario, bucket } = scene;
  await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.started:pause" });
  await run.stopped();
  const [row] = await scenario.query(
    `SELECT segment, rule, day_from::text AS day, version_id AS version
     FROM firnline.segment WHERE state = 'pruning'`,
  );
  const { segment, rule, day, version } = row as Record<string, string>;
  const Key = `firnline/audit_logs/daily/rule=${rule}/dt=${day}/${segment}.parquet`;
  await work({ Bucket: bucket, Key, ...(version === null ? {} : { VersionId: version as string }) });
  run.resume();
  return await run.ended;
}

async function objectGone(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench, { versioned: false });
  const { scenario, client } = scene;
  let putBack = async (): Promise<void> => {};
  const ending = await whilePruneStands(scene, async (object) => {
    const { Body } = await client.send(new GetObjectCommand(object));
    const bytes = (await Body?.transformToByteArray()) as Uint8Array;
    putBack = async () => void (await client.send(new PutObjectCommand({ ...object, Body: bytes })));
    await client.send(new DeleteObjectCommand(object));
  });
  const says =
    /E_VERIFY .*the sealed object is gone\. Nothing was deleted; compare the object with the journal/;
  // The first segment of its day, whose other one waits with it until the next run.
  await expectStopped(scenario, ending, { code: 3, says, rows: 120 + HOT_ROWS });
  await expectStopped(scenario, await runWith(scene, () => PASS), { code: 3, says, rows: 100 + HOT_ROWS });
  await expectStopped(scenario, await runWith(scene, () => PASS), { code: 1, says, rows: 100 + HOT_ROWS });
  // What only a person can do.
  await putBack();
  expect(await bench.settle(scenario)).toMatchObject({ exported: 0, pruned: 100 });
  await expectNothingLeft(scene);
  return "E_VERIFY: it is gone; its rows stay until it is back";
}

/** A delete marker hides it from everybody who does not know its version. */
async function objectHidden(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario, client } = scene;
  let unhide = async (): Promise<void> => {};
  const ending = await whilePruneStands(scene, async ({ Bucket, Key }) => {
    const { VersionId } = await client.send(new DeleteObjectCommand({ Bucket, Key }));
    unhide = async () => void (await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId })));
  });
  expectDone(ending);
  expect(await scenario.count()).toBe(HOT_ROWS);
  await unhide();
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "the pinned version is there: goes on";
}

async function killedAtRead(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario, proxy } = scene;
  expectDone(await runWith(scene, () => PASS));
  const out = join(scenario.folder, "answer.ndjson");
  const ask = ["retrieve", "audit-logs", "--from", "2026-01-01", "--to", "2026-02-28", "--out", out];
  let reads = 0;
  proxy.script((asked) => {
    if (!isGet(asked) || !isData(asked)) return PASS;
    reads += 1;
    return reads > 2 ? { kind: "hang", bytes: 50 } : PASS;
  });
  await using retrieval = scenario.spawn(ask);
  await waitUntil(() => reads > 2, "the retrieval reads");
  retrieval.signal("SIGKILL");
  expect(await retrieval.ended).toMatchObject({ signal: "SIGKILL" });
  proxy.script(() => PASS);
  expect(existsSync(out), "a file under the final name").toBe(false);
  expect(await scenario.spawn(ask).ended).toMatchObject({ code: 0 });
  expect(existsSync(out)).toBe(true);
  await waitUntil(() => proxy.connections() === 0, "all connections are closed");
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "nothing under the final name; asked again, it is complete";
}

export const READ_LINES: readonly FaultLine[] = [
  { number: 9, fault: "SIGKILL while a body hangs", stage: "retrieve", expected: "OK", run: killedAtRead },
  {
    number: 26,
    fault: "truncated GET",
    stage: "seal",
    expected: "STOP",
    run: async (bench) =>
      await damagedAtSeal(bench, HALVED, /E_ARCHIVE .*the object is shorter than expected/),
  },
  {
    number: 26,
    fault: "GET that breaks off again and again",
    stage: "seal",
    expected: "STOP",
    run: async (bench) => await damagedAtSeal(bench, BROKEN_OFF, /E_ARCHIVE .*broke off again and again/),
  },
  {
    number: 26,
    fault: "flipped bit in a GET",
    stage: "seal",
    expected: "STOP",
    run: async (bench) =>
      await damagedAtSeal(bench, FLIPPED, /E_VERIFY .*what was read back is not what was exported/),
  },
  {
    number: 26,
    fault: "flipped GET, HEAD of another",
    stage: "prune",
    expected: "STOP",
    run: damagedAtPrune,
  },
  {
    number: 26,
    fault: "flipped and truncated GET",
    stage: "retrieve",
    expected: "STOP",
    run: damagedAtRetrieval,
  },
  { number: 27, fault: "hung body x100", stage: "run, retrieve", expected: "OK", run: hungBodies },
  { number: 27, fault: "hung listings, tags, heads", stage: "run", expected: "OK", run: hungDocuments },
  { number: 30, fault: "object gone before the prune", stage: "prune", expected: "STOP", run: objectGone },
  { number: 30, fault: "delete marker over the object", stage: "prune", expected: "OK", run: objectHidden },
];
