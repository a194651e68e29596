/**
 * Bad input, section 3 of the hazards: stores that are not what an archive needs. Buckets are really made so on Ceph where
 * it can; what only AWS does (regions, keys in KMS, other people's buckets) is its answer, given by a proxy. In the words
 * of `test/golden/bad-store.txt`; nothing changes, in the table as in the bucket.
 */
import {
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { everything, fill } from "../cli/on-scenario.ts";
import { unfinishedUploads } from "../conformance/archive/s3-bucket.ts";
import { type Asked, errorDocument, type Fate, PASS, startHttpProxy } from "../support/http-proxy.ts";
import { type BucketOptions, clientOf, describeOn } from "../support/s3-server.ts";
import { Scenario, SMALL } from "../support/scenario.ts";
import { DOCTOR, RUN } from "./bad-input.ts";
import { command } from "./in-process.ts";
import { SECTION_3 } from "./section-3.ts";

interface BadStore {
  readonly code: "E_BUCKET" | "E_CLOCK" | "E_CAPACITY";
  readonly what: string;
  /** The one that checks no signatures lets a proxy take a header away. */
  readonly on?: "moto";
  readonly bucket?: BucketOptions;
  /** Another one than was made. */
  readonly name?: string;
  /** Of the policy's `archive`. */
  readonly archive?: Readonly<Record<string, unknown>>;
  readonly make?: (client: S3Client, bucket: string) => Promise<unknown>;
  readonly fate?: (asked: Asked) => Fate;
  readonly skewMs?: number;
  readonly codes?: readonly number[];
  /** Another code than section 3's, and why that is right. */
  readonly told?: { readonly code: string; readonly why: string };
}

const answer = (status: number, code: string, headers: Record<string, string> = {}): Fate => ({
  kind: "answer",
  status,
  body: errorDocument(code),
  headers,
});
const isWrite = ({ method }: Asked): boolean => method === "PUT" || method === "POST";

const BAD_STORES: readonly BadStore[] = [
  { code: "E_BUCKET", what: "missing", name: "no-such-bucket-of-ours" },
  {
    code: "E_BUCKET",
    what: "unversioned while the policy wants a lock",
    archive: { lock: { mode: "governance", keep: "30d" } },
  },
  {
    code: "E_BUCKET",
    what: "wrong region",
    fate: () => answer(301, "PermanentRedirect", { "x-amz-bucket-region": "eu-north-1" }),
  },
  {
    code: "E_BUCKET",
    what: "expiration rule over the prefix",
    bucket: { versioned: true },
    make: async (client, Bucket) => {
      const rule = {
        ID: "tidy-up",
        Status: "Enabled",
        Filter: { Prefix: "" },
        Expiration: { Days: 30 },
      } as const;
      const LifecycleConfiguration = { Rules: [rule] };
      await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }));
    },
  },
  {
    code: "E_BUCKET",
    what: "disabled KMS key",
    bucket: { versioned: true },
    archive: { encryption: { mode: "SSE-KMS", key: "testkey-1" } },
    fate: (asked) => (isWrite(asked) ? answer(400, "KMS.DisabledException") : PASS),
  },
  { code: "E_BUCKET", what: "another owner", fate: () => answer(403, "AccessDenied") },
  {
    code: "E_BUCKET",
    what: "no conditional PUT",
    on: "moto",
    fate: () => ({ kind: "without", header: "if-none-match" }),
  },
  {
    code: "E_BUCKET",
    what: "checksums rejected",
    fate: ({ headers }) =>
      Object.keys(headers).some((name) => /^x-amz-(?:checksum-|sdk-checksum)|^content-md5$/.test(name))
        ? answer(501, "NotImplemented")
        : PASS,
  },
  {
    code: "E_CAPACITY",
    what: "over 10,000 parts",
    // Nobody knows before how large a day becomes once it is compressed.
    codes: [0, 1],
    fate: (asked) =>
      isWrite(asked) && asked.url.includes(".parquet") ? answer(400, "EntityTooLarge") : PASS,
  },
  { code: "E_CLOCK", what: "skew over 60 s between database, host and store", skewMs: 90_000 },
];

const golden = new Map<string, string>();
let template: Scenario | undefined;

beforeAll(async () => {
  template = await Scenario.create();
  await fill(template);
});
afterAll(async () => await template?.[Symbol.asyncDispose]());
afterEach(() => void vi.restoreAllMocks());

for (const name of ["ceph", "moto"] as const) {
  await describeOn(name, "a bad store", (server) => {
    let client: S3Client;
    beforeAll(() => void (client = clientOf(server)));
    afterAll(() => client.destroy());

    test.each(BAD_STORES.filter(({ on = "ceph" }) => on === name))("$code: $what", async (bad) => {
      const bucket = bad.name ?? (await server.newBucket(bad.bucket));
      await bad.make?.(client, bucket);
      await using proxy = await startHttpProxy(server.endpoint);
      await using scenario = await (template as Scenario).copy({
        archive: {
          server: { ...server, endpoint: proxy.endpoint },
          bucket,
          ...(bad.archive === undefined ? {} : { policy: bad.archive }),
        },
      });
      // A run that began has said so, and what it did not finish.
      const hasBegun = bad.codes !== undefined;
      const contents = async (): Promise<unknown> => {
        if (bad.name !== undefined) return null;
        const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
        const keys = Versions.map(({ Key = "" }) => Key);
        return [
          keys.filter((key) => !(hasBegun && key.includes("/_firnline/"))),
          await unfinishedUploads(client, bucket),
        ];
      };
      const rows = async (): Promise<unknown> => {
        const { rows: all } = await everything(scenario);
        // What a run that was refused has said of itself, and would have written first.
        return Object.fromEntries(
          Object.entries(all).filter(
            ([table]) => !(hasBegun ? /^firnline\./ : /^firnline\.(?:pipeline|run|outbox)$/).test(table),
          ),
        );
      };
      const before = [await contents(), await rows()];
      if (bad.fate !== undefined) proxy.script(bad.fate);
      if (bad.skewMs !== undefined) {
        const { now } = Date;
        vi.spyOn(Date, "now").mockImplementation(() => now() + (bad.skewMs as number));
      }
      const texts: string[] = [];
      const codes: number[] = [];
      for (const args of [DOCTOR, RUN]) {
        const environ = {
          DATABASE_URL: scenario.url,
          ...SMALL,
          FIRNLINE_S3_PAUSE_MS: "10",
          FIRNLINE_CONCURRENCY: "1",
        };
        const { code, lines } = await command([...args, "--folder", scenario.policies], environ);
        codes.push(code);
        texts.push(`$ firnline ${args.join(" ")}`, ...lines, `exit code ${code}`);
      }
      vi.restoreAllMocks();
      const text = texts
        .join("\n")
        .replaceAll(scenario.database, "DATABASE")
        .replaceAll(bucket, "BUCKET")
        .replaceAll(proxy.endpoint, "http://STORE")
        .replaceAll(/_firnline\/_probe\/[0-9a-f]{16}/g, "_firnline/_probe/NAME")
        .replaceAll(/\d{12}-[0-9a-f]{16}/g, "SEGMENT")
        .replaceAll(/\d+ seconds (behind|ahead)/g, "N seconds $1");
      golden.set(`${bad.code}: ${bad.what}`, text);
      expect(text).not.toMatch(/^ {4}at |undefined|E_INTERNAL/m);
      expect(text).toMatch(new RegExp(`^${bad.told?.code ?? bad.code} `, "m"));
      expect(codes, text).toEqual(bad.codes ?? [12, 12]);
      expect([await contents(), await rows()]).toEqual(before);
    });
  });
}

test("the list of bad stores is section 3's, whole", () => {
  const listed = (["E_BUCKET", "E_CAPACITY", "E_CLOCK"] as const).flatMap((code) =>
    SECTION_3[code].map((what) => `${code}: ${what}`),
  );
  const built = BAD_STORES.map(({ code, what }) => `${code}: ${what}`);
  // Retrievals meet that one: `bad-archive.test.ts`.
  expect([...built, "E_CAPACITY: temp space"].sort()).toEqual([...listed].sort());
});

test("all of it is answered in the words that are written down", async ({ skip }) => {
  if (golden.size < BAD_STORES.length) skip("not every store was there");
  const text = BAD_STORES.map(
    ({ code, what }) => `## ${code}: ${what}\n${golden.get(`${code}: ${what}`)}\n`,
  ).join("\n");
  await expect(text).toMatchFileSnapshot("../golden/bad-store.txt");
});
