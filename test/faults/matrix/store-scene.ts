/** A scenario with its archive in a bucket, behind a proxy that fails as its script says; and what must be true at its end. */
import type { S3Client } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import type { CollectResult } from "../../../src/repair/collect.ts";
import { Pipeline } from "../../../src/pipeline.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import { systemClock } from "../../../src/wiring.ts";
import { auditRows } from "../../support/audit-rows.ts";
import type { Ending, FirnlineProcess } from "../../support/firnline-process.ts";
import {
  type Answered,
  type Asked,
  errorDocument,
  type Fate,
  type HttpProxy,
  PASS,
  startHttpProxy,
} from "../../support/http-proxy.ts";
import { clientOf, type S3Server, type S3ServerName } from "../../support/s3-server.ts";
import type { Environ, Scenario, ScenarioOptions } from "../../support/scenario.ts";
import { expectNothingStranded } from "../../support/stranded.ts";
import type { FaultBench } from "./line.ts";

export interface StoreScene {
  readonly scenario: Scenario;
  readonly server: S3Server;
  readonly bucket: string;
  readonly proxy: HttpProxy;
  /** Past the proxy. */
  readonly client: S3Client;
}

export interface StoreOptions extends Omit<ScenarioOptions, "archive"> {
  /** Ceph unless a line needs what it does not have. */
  readonly on?: S3ServerName;
  readonly versioned?: boolean;
}

/** So many rows are due in `fill`, in three segments. */
export const DUE_ROWS = 190;
export const HOT_ROWS = 10;
const DAY_MS = 86_400_000;
/** Short pauses between two tries: what is tested is that there are some. */
const HASTY = { FIRNLINE_S3_PAUSE_MS: "10" };

/** Nothing is in the table. The proxy lets everything pass until somebody writes a script. */
export async function storeScene(bench: FaultBench, options: StoreOptions = {}): Promise<StoreScene> {
  const { on = "ceph", versioned = true, environ, ...rest } = options;
  const server = await bench.s3(on);
  const bucket = await server.newBucket({ versioned });
  const proxy = bench.keep(await startHttpProxy(server.endpoint));
  const client = clientOf(server);
  bench.keep({ [Symbol.asyncDispose]: async () => client.destroy() });
  const archive = { server: { ...server, endpoint: proxy.endpoint }, bucket };
  const scenario = await bench.scenario({ ...rest, archive, environ: { ...HASTY, ...environ } });
  return { scenario, server, bucket, proxy, client };
}

/** Two days that are due, and one that stays. */
export async function fill(scenario: Scenario): Promise<void> {
  await scenario.insert(auditRows("2026-01-10", 1, 120));
  await scenario.insert(auditRows("2026-01-11", 1_001, 70));
  await scenario.insert(auditRows("2026-02-20", 2_001, HOT_ROWS));
}

/** A scene whose rows are in the table. */
export async function filledScene(bench: FaultBench, options: StoreOptions = {}): Promise<StoreScene> {
  const scene = await storeScene(bench, options);
  await fill(scene.scenario);
  return scene;
}

/** A run as a process; the script holds for as long as it lives. */
export async function runWith(
  { scenario, proxy }: StoreScene,
  script: (asked: Asked) => Fate,
  environ: Environ = {},
): Promise<Ending> {
  proxy.script(script);
  const ending = await scenario.spawnRun(environ).ended;
  proxy.script(() => PASS);
  return ending;
}

/** A process that is killed when the store has done what it asked for first; it never hears of it. */
export function killedAt(
  { proxy }: StoreScene,
  matches: (asked: Asked) => boolean,
  start: () => FirnlineProcess,
): FirnlineProcess {
  const victim = start();
  proxy.script((asked) => {
    if (!matches(asked)) return PASS;
    const change = (answer: Answered): Answered => {
      victim.signal("SIGKILL");
      return answer;
    };
    return { kind: "change", change };
  });
  return victim;
}

export function expectDone({ code, signal, stderr }: Ending): void {
  expect({ code, signal, stderr }, "the run").toEqual({ code: 0, signal: null, stderr: "" });
}

/** It ended with this code, in its own words and without a stack; nothing of what is due was deleted. */
export async function expectStopped(
  scenario: Scenario,
  { code, stdout, stderr }: Ending,
  expected: { readonly code: number; readonly says: RegExp; readonly rows?: number },
): Promise<void> {
  expect({ code, output: stdout + stderr }, "the run").toEqual({
    code: expected.code,
    output: expect.stringMatching(expected.says),
  });
  expect(stderr, "errors have no stack").not.toMatch(/\n\s+at /);
  expect(await scenario.count(), "rows in the table").toBe(expected.rows ?? DUE_ROWS + HOT_ROWS);
}

/** As if it were so many days later. */
export async function collectAfter(scenario: Scenario, days: number): Promise<CollectResult> {
  await using pipeline = new Pipeline({
    policy: scenario.policy,
    connectionString: scenario.url,
    settings: scenario.settings(),
    clock: { ...systemClock, now: () => (Date.now() + days * DAY_MS) as EpochMs },
  });
  return await pipeline.collect({ isDryRun: false });
}

/** When the recovery window is over, nothing is in the bucket that the journal does not name: no object, version or part. */
export async function expectNothingLeft({ scenario, client, bucket }: StoreScene): Promise<CollectResult> {
  await collectAfter(scenario, 0);
  const collected = await collectAfter(scenario, 15);
  await expectNothingStranded(scenario, client, bucket);
  return collected;
}

export const isPut = ({ method, url }: Asked): boolean => method === "PUT" && url.includes("x-id=PutObject");
export const isGet = ({ method, url }: Asked): boolean => method === "GET" && url.includes("x-id=GetObject");
export const isHead = ({ method, url }: Asked): boolean => method === "HEAD" && url.split("/").length > 3;
export const isPart = ({ method, url }: Asked): boolean => method === "PUT" && url.includes("partNumber=");
export const isComplete = ({ method, url }: Asked): boolean => method === "POST" && /[?&]uploadId=/.test(url);
/** Of an archived object: what a store can do is tried out with copies of its own. */
export const isCopy = (asked: Asked): boolean =>
  asked.method === "PUT" && asked.headers["x-amz-copy-source"] !== undefined && !isProbe(asked);
export const isRestore = ({ method, url }: Asked): boolean => method === "POST" && /[?&]restore\b/.test(url);
export const isList = ({ method, url }: Asked): boolean =>
  method === "GET" && /[?&](?:list-type=2|versions)(?:[=&]|$)/.test(url);
export const isProbe = ({ url }: Asked): boolean => url.includes("_firnline/_probe/");
export const isData = ({ url }: Asked): boolean => url.includes(".parquet");

/** A refusal that never reaches the store. */
export const refuse = (status: number, code: string, headers: Record<string, string> = {}): Fate => ({
  kind: "answer",
  status,
  body: errorDocument(code),
  headers,
});

/** What is asked for, so that two tries of it are the same. What the store can do is tried out under other names each time. */
export const requestOf = ({ method, url }: Asked): string =>
  `${method} ${url.includes("_firnline/_probe/") ? url.replace(/probe\/\w+/, "probe").replace(/uploadId=[^&]*/, "") : url}`;

/** `fate` for the first try of each request that matches. */
export function firstTry(matches: (asked: Asked) => boolean, fate: Fate): (asked: Asked) => Fate {
  const seen = new Set<string>();
  return (asked) => {
    if (!matches(asked) || seen.has(requestOf(asked))) return PASS;
    seen.add(requestOf(asked));
    return fate;
  };
}

/** The most that one request was sent. */
export function triesMax(asked: readonly Asked[]): number {
  const tries = new Map<string, number>();
  for (const one of asked) tries.set(requestOf(one), (tries.get(requestOf(one)) ?? 0) + 1);
  return Math.max(...tries.values());
}
