/** Line 32: listings that are behind, cut short or empty while garbage is collected. Nothing goes by their word. */
import { ListObjectVersionsCommand } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import { type Answered, type Fate, PASS } from "../../support/http-proxy.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import {
  collectAfter,
  expectDone,
  expectNothingLeft,
  filledScene,
  isData,
  isList,
  runWith,
  type StoreScene,
} from "./store-scene.ts";

/** A bucket with an object that was uploaded, and given up. */
async function sceneWithGarbage(bench: FaultBench, versioned: boolean): Promise<StoreScene> {
  const scene = await filledScene(bench, { versioned });
  const killed = await scene.scenario.spawnRun({ FIRNLINE_FAILPOINT: "export.uploaded:kill" }).ended;
  expect(killed).toMatchObject({ signal: "SIGKILL" });
  expectDone(await runWith(scene, () => PASS));
  return scene;
}

const edited = (edit: (document: string) => string): Fate => ({
  kind: "change",
  change: ({ status, headers, body }: Answered) => {
    return { status, headers, body: Buffer.from(edit(body.toString("utf8"))) };
  },
});

const ENTRY = /<(Contents|Version)>.*?<\/\1>/gs;

/** As the listing was before the last object that `isHere` names came. */
const behind = (isHere: (key: string) => boolean): Fate =>
  edited((document) =>
    document.replaceAll(ENTRY, (entry) => (isHere(/<Key>(.*?)<\/Key>/.exec(entry)?.[1] ?? "") ? "" : entry)),
  );

/** Objects and versions, past the proxy; the journal grows with each collect. */
async function objectsOf({ client, bucket }: StoreScene): Promise<string[]> {
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  return Versions.map(({ Key, VersionId }) => `${Key} ${VersionId}`)
    .filter((one) => !one.includes("/journal/"))
    .sort();
}

/** What a journal names of a day that was archived and pruned. */
async function liveKey({ scenario }: StoreScene): Promise<string> {
  const [row] = await scenario.query("SELECT segment FROM firnline.segment WHERE state = 'warm' LIMIT 1");
  return row?.["segment"] as string;
}

/** What the listing says, and how it is refused. */
type Listing = readonly [what: string, fate: Fate, says: RegExp];

async function nothingGoes(bench: FaultBench, versioned: boolean): Promise<string> {
  const scene = await sceneWithGarbage(bench, versioned);
  const { scenario, proxy } = scene;
  const garbage = await collectAfter(scenario, 0);
  expect(garbage).toMatchObject({ removed: { objects: 0 }, waiting: { objects: 1 } });
  const live = await liveKey(scene);
  const before = await objectsOf(scene);
  const listings: readonly Listing[] = [
    [
      "lacks a live object",
      behind((key) => key.includes(live)),
      /^E_VERIFY .*the listing of the archive lacks it/,
    ],
    [
      "is from before the first object",
      behind(() => true),
      /^E_VERIFY .*the listing of the archive lacks it/,
    ],
    [
      "has its end cut off",
      edited((document) => document.replace(/<IsTruncated>\w+</, "<IsTruncated>true<")),
      /^E_ARCHIVE .*there is more, and not where it goes on/,
    ],
    [
      "breaks off in a document",
      edited((document) => document.slice(0, -40)),
      /^E_ARCHIVE .*the store failed/,
    ],
    ["is an empty answer", { kind: "answer", status: 200, body: "" }, /^E_ARCHIVE .*the store failed/],
  ];
  for (const [what, fate, says] of listings) {
    // Of manifests and of data apart: each of the two must be whole.
    for (const folder of ["audit_logs%2F", "manifests%2F"]) {
      proxy.script((asked) => (isList(asked) && asked.url.includes(folder) ? fate : PASS));
      await expect(collectAfter(scenario, 15), `a listing that ${what}`).rejects.toThrow(says);
      expect(await objectsOf(scene), "objects of the bucket").toEqual(before);
    }
  }
  proxy.script(() => PASS);
  await bench.settle(scenario);
  const { removed } = await expectNothingLeft(scene);
  expect(removed.objects, "garbage, by a true listing").toBe(1);
  return `${listings.length} untrue listings, nothing deleted`;
}

/** Garbage that only the second listing shows was seen once: it waits for the recovery window. */
async function seenOnce(bench: FaultBench): Promise<string> {
  const scene = await sceneWithGarbage(bench, true);
  const { scenario, proxy } = scene;
  const live = await scenario.query("SELECT segment FROM firnline.segment WHERE state = 'warm'");
  const isLive = (key: string): boolean => live.some(({ segment }) => key.includes(segment as string));
  proxy.script((asked) =>
    isList(asked) ? behind((key) => isData({ url: key } as never) && !isLive(key)) : PASS,
  );
  expect(await collectAfter(scenario, 0)).toMatchObject({ waiting: { objects: 0 } });
  proxy.script(() => PASS);
  const before = await objectsOf(scene);
  expect(await collectAfter(scenario, 15)).toMatchObject({
    removed: { objects: 0 },
    waiting: { objects: 1 },
  });
  expect(await objectsOf(scene)).toEqual(before);
  expect(await collectAfter(scenario, 30)).toMatchObject({ removed: { objects: 1 } });
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "seen in one listing only: waits; in two: removed";
}

export const LISTING_LINES: readonly FaultLine[] = [
  ...[false, true].map((versioned): FaultLine => ({
    number: 32,
    fault: `stale and broken LIST of ${versioned ? "versions" : "objects"}`,
    stage: "collect",
    expected: "STOP",
    run: async (bench) => await nothingGoes(bench, versioned),
  })),
  { number: 32, fault: "stale LIST that hides garbage", stage: "collect", expected: "OK", run: seenOnce },
];
