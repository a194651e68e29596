/** Lines 28 and 29: a store that takes nothing, and one that takes too much. */
import { ListObjectVersionsCommand } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import { PASS } from "../../support/http-proxy.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import {
  DUE_ROWS,
  expectDone,
  expectNothingLeft,
  expectStopped,
  filledScene,
  isData,
  isPut,
  refuse,
  runWith,
} from "./store-scene.ts";

const HOUR_MS = 3_600_000;
/** By the store's clock. */
const anHourAgo = (): string => new Date(Date.now() - HOUR_MS).toUTCString();

async function skewedFromTheStart(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario } = scene;
  const run = await bench.unchanged(
    scenario,
    async () => await runWith(scene, () => refuse(403, "RequestTimeTooSkewed", { date: anHourAgo() })),
  );
  await expectStopped(scenario, run, { code: 12, says: /E_CLOCK .*Set this host's clock right, with NTP/ });
  expectDone(await runWith(scene, () => PASS));
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "refused: E_CLOCK, set this host's clock right";
}

/** The answer to a HEAD, and to some proxies' refusals, has no words. */
async function skewedInBetween(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench);
  const { scenario } = scene;
  let isWrong = false;
  const run = await runWith(scene, (asked) => {
    if (isPut(asked) && isData(asked)) isWrong = true;
    if (!isWrong) return PASS;
    return { kind: "answer", status: 403, body: "", headers: { date: anHourAgo() } };
  });
  await expectStopped(scenario, run, {
    code: 12,
    says: /E_CLOCK .*this host, whose clock is (?:60 minutes|1 hour) ahead.*Set this host's clock right, with NTP/,
  });
  expect(await bench.settle(scenario)).toMatchObject({ exported: DUE_ROWS });
  await expectNothingLeft(scene);
  return "E_CLOCK, by how much; nothing deleted";
}

/** moto checks no signatures, so that the header can be taken away on its way. */
async function conditionsIgnored(bench: FaultBench): Promise<string> {
  const scene = await filledScene(bench, { on: "moto", versioned: false });
  const { scenario, proxy, client, bucket } = scene;
  const script = () => ({ kind: "without", header: "if-none-match" }) as const;
  const run = await bench.unchanged(scenario, async () => await runWith(scene, script));
  await expectStopped(scenario, run, { code: 12, says: /E_BUCKET .*it ignores If-None-Match/ });
  proxy.script(script);
  const doctor = await scenario.spawn(["doctor"]).ended;
  proxy.script(() => PASS);
  await expectStopped(scenario, doctor, { code: 12, says: /E_BUCKET .*it ignores If-None-Match/ });
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  expect(Versions, "what doctor tried out").toEqual([]);
  expectDone(await runWith(scene, () => PASS));
  await bench.settle(scenario);
  await expectNothingLeft(scene);
  return "run and doctor refuse: E_BUCKET; nothing is left there";
}

export const REFUSAL_LINES: readonly FaultLine[] = [
  {
    number: 28,
    fault: "clock-skew 403 from the start",
    stage: "run",
    expected: "STOP",
    run: skewedFromTheStart,
  },
  {
    number: 28,
    fault: "clock-skew 403 without words, in between",
    stage: "export",
    expected: "STOP",
    run: skewedInBetween,
  },
  {
    number: 29,
    fault: "If-None-Match ignored",
    stage: "run, doctor",
    expected: "STOP",
    run: conditionsIgnored,
  },
];
