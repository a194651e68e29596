/**
 * A store that has less than S3. What Firnline can do without is done without; what a policy needs and the store has not is
 * said by `doctor`, and a run is refused before it writes. Played is Cloudflare's R2, by its own list of what it does not
 * implement ("S3 API compatibility"): a proxy in front of a real store answers 501 to that.
 */
import type { S3Client } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type OpenOptions, openBucket, unfinishedUploads } from "../conformance/archive/s3-bucket.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import {
  type Asked,
  errorDocument,
  type Fate,
  type HttpProxy,
  PASS,
  startHttpProxy,
} from "../support/http-proxy.ts";
import { clientOf, describeOn, type S3Server, saw } from "../support/s3-server.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";
import { expectNothingStranded } from "../support/stranded.ts";

const NOT_ASKED =
  /[?&](?:versioning|versions|object-lock|tagging|retention|legal-hold|restore|policyStatus|publicAccessBlock)\b/;
const NOT_SENT = /^x-amz-(?:server-side-encryption|tagging|object-lock-)/;
const CLASSES: readonly unknown[] = [undefined, "STANDARD", "STANDARD_IA"];

function asR2({ url, headers }: Asked): Fate {
  const isKnown =
    !NOT_ASKED.test(url) &&
    !Object.keys(headers).some((name) => NOT_SENT.test(name)) &&
    CLASSES.includes(headers["x-amz-storage-class"]);
  return isKnown ? PASS : { kind: "answer", status: 501, body: errorDocument("NotImplemented") };
}

await describeOn("ceph", "a store like R2", (server) => {
  let client: S3Client;
  let bucket: string;
  let proxy: HttpProxy;
  let behind: S3Server;
  beforeAll(() => void (client = clientOf(server)));
  afterAll(() => client.destroy());
  beforeEach(async () => {
    bucket = await server.newBucket();
    proxy = await startHttpProxy(server.endpoint);
    proxy.script(asR2);
    behind = { ...server, endpoint: proxy.endpoint };
  });
  afterEach(async () => await proxy[Symbol.asyncDispose]());

  test("takes rows, gives them back, and nothing is left over", async () => {
    const tiers = { cold: undefined };
    await using scenario = await Scenario.create({ archive: { server: behind, bucket }, tiers });
    await scenario.insert(auditRows("2026-01-10", 1, 120));
    await scenario.insert(auditRows("2026-02-20", 2_001, 10));
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 120, pruned: 120 });
    expect(await scenario.count()).toBe(10);
    await expectSettled(scenario);
    await expectNothingStranded(scenario, client, bucket);
    await expectNothingLost(scenario);
    const doctor = await scenario.spawn(["doctor"]).ended;
    expect(doctor, doctor.stdout + doctor.stderr).toMatchObject({ code: 0 });
    saw(server, "no versions, tags or locks (as R2)", "the pipeline does without");
  });

  test("is refused by doctor for what a policy needs and it has not", async () => {
    const problems = async (options: OpenOptions): Promise<string[]> => {
      await using archive = openBucket(behind, bucket, options);
      return (await archive.examine()).findings.map(({ code, problem }) => `${code} ${problem}`);
    };
    const cold = (transition: string): OpenOptions => ({
      tiers: { cold: { storageClass: "DEEP_ARCHIVE", transition } },
    });
    expect(await problems({})).toEqual([]);
    expect(await problems(cold("lifecycle"))).toEqual([expect.stringMatching(/^E_BUCKET .*have no tags/)]);
    expect(await problems(cold("copy"))).toEqual([
      expect.stringMatching(/^E_BUCKET it keeps no versions of objects, and .*copy needs them/),
    ]);
    expect(await problems({ archive: { lock: { mode: "governance", keep: "30d" } } })).toEqual([
      expect.stringMatching(/^E_BUCKET it keeps no versions/),
      expect.stringMatching(/^E_BUCKET it has no Object Lock/),
    ]);
    expect(await problems({ archive: { encryption: { mode: "SSE-S3" } } })).toEqual([
      expect.stringMatching(/^E_BUCKET it does not take objects with .*encryption \(SSE-S3\).*501/),
    ]);
    expect(await unfinishedUploads(client, bucket)).toEqual([]);
  });
});
