/** Archives in buckets under the contract, on a real server: with versions, without, with Object Lock. */
import type { S3Client } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { clientOf, describeOn, type S3Server, type S3ServerName, saw } from "../../support/s3-server.ts";
import { describeArchive } from "../archive.ts";
import type { ArchiveHarness, StoreAbilities } from "./harness.ts";
import { bucketHarness, unfinishedUploads } from "./s3-bucket.ts";

interface Kind {
  readonly title: string;
  readonly bucket: { readonly versioned?: boolean; readonly locked?: boolean };
  readonly can: Pick<StoreAbilities, "moves" | "corrupts" | "locks">;
}

const KINDS: readonly Kind[] = [
  { title: "bucket", bucket: {}, can: { moves: false, corrupts: true, locks: false } },
  {
    title: "bucket with versions",
    bucket: { versioned: true },
    can: { moves: true, corrupts: false, locks: false },
  },
  {
    title: "bucket with locks",
    bucket: { locked: true },
    can: { moves: true, corrupts: false, locks: true },
  },
];

/** Await it. */
export async function describeBuckets(
  name: S3ServerName,
  isAskedFor: (bucket: Kind["bucket"]) => boolean = () => true,
): Promise<void> {
  await describeOn(name, "the archive's contract", (server) => {
    for (const kind of KINDS) if (isAskedFor(kind.bucket)) describeKind(server, kind);
  });
}

function describeKind(server: S3Server, { title, bucket: options, can }: Kind): void {
  let client: S3Client;
  const buckets: string[] = [];
  beforeAll(() => void (client = clientOf(server)));
  afterAll(() => client.destroy());

  const makeHarness = async (): Promise<ArchiveHarness> => {
    // A listing of versions makes moto copy everything in the bucket, and it never forgets a copy: one for each test.
    if (server.name === "moto" || buckets.length === 0) buckets.push(await server.newBucket(options));
    return bucketHarness(server, client, buckets.at(-1) as string);
  };

  const abilities: StoreAbilities = {
    ...can,
    clock: false,
    restores: server.can.restores ? "at once" : "never",
  };
  describeArchive(title, makeHarness, abilities);
  let failed = 0;
  afterEach(({ task }) => void (failed += task.result?.state === "fail" ? 1 : 0));

  test(`${title}: after all of that no upload is left unfinished`, async () => {
    for (const bucket of buckets) expect(await unfinishedUploads(client, bucket)).toEqual([]);
    if (failed === 0) saw(server, `the archive's contract: ${title}`);
  });
}
