/** What the other suites end with must be able to fail: each thing that a bucket could be left with is found. */
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type Journaled, readJournal } from "../support/oracle.ts";
import { clientOf, describeOn, saw, type S3ServerName } from "../support/s3-server.ts";
import { Scenario } from "../support/scenario.ts";
import { expectNothingStranded, pinnedBy, strandedIn } from "../support/stranded.ts";

for (const name of ["ceph", "moto"] as const satisfies S3ServerName[]) {
  await describeOn(name, "what is stranded", (server) => {
    const withBucket = async (
      versioned: boolean,
      work: (own: { scenario: Scenario; client: S3Client; Bucket: string }) => Promise<void>,
    ): Promise<void> => {
      const client = clientOf(server);
      const Bucket = await server.newBucket({ versioned });
      await using scenario = await Scenario.create({ archive: { server, bucket: Bucket } });
      await scenario.insert(auditRows("2026-01-10", 1, 20));
      await scenario.run();
      await expectNothingStranded(scenario, client, Bucket);
      await work({ scenario, client, Bucket });
      client.destroy();
    };

    test("in a bucket with versions: an object, an old version, a delete marker, an unfinished upload", async () => {
      await withBucket(true, async ({ scenario, client, Bucket }) => {
        const journal = await readJournal(scenario);
        const found = async (): Promise<string[]> => await strandedIn(client, Bucket, { journal });
        const [sealed] = journal.filter(({ event }) => event.type === "sealed");
        const { key } = (sealed as Journaled).event["object"] as { key: string };
        const put = async (Key: string): Promise<string> =>
          (await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))).VersionId ?? "none";
        const remove = async (Key: string, VersionId?: string): Promise<string> =>
          (await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }))).VersionId ?? "none";

        // A key of the kind that runs make, one beside the prefix, and a version over one that the journal pins.
        const beside = ["firnline/_firnline/audit_logs/manifests/000000000099-0123456789abcdef.json", "else"];
        for (const Key of [...beside, `firnline/${key}`]) {
          const version = await put(Key);
          expect(await found()).toEqual([`version ${Key} ${version}`]);
          if (Key === "else")
            expect(await strandedIn(client, Bucket, { journal, besides: [Key] })).toEqual([]);
          await expect(expectNothingStranded(scenario, client, Bucket)).rejects.toThrow("to deeply equal []");
          await remove(Key, version);
        }
        // An entry that was written once more, and one after the last that anybody knows.
        const entry = (n: number): string =>
          `firnline/_firnline/audit_logs/journal/${String(n).padStart(20, "0")}.json`;
        for (const n of [1, journal.length + 1]) {
          const version = await put(entry(n));
          expect(await found()).toEqual([expect.stringMatching(`^version ${entry(n)} `)]);
          await remove(entry(n), version);
        }
        const marker = await remove(`firnline/${key}`);
        expect(await found()).toEqual([`delete marker firnline/${key} ${marker}`]);
        await remove(`firnline/${key}`, marker);

        await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "firnline/a.parquet" }));
        expect(await found()).toEqual(["upload firnline/a.parquet"]);
        saw(server, "nothing is stranded in a bucket (versions, markers, uploads)");
      });
    });

    test("in a bucket without versions: an object, an unfinished upload", async () => {
      await withBucket(false, async ({ scenario, client, Bucket }) => {
        const Key =
          "firnline/audit_logs/daily/rule=default/dt=2026-01-10/000000000099-0123456789abcdef.parquet";
        await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
        await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "firnline/a.parquet" }));
        await expect(expectNothingStranded(scenario, client, Bucket)).rejects.toThrow("to deeply equal []");
        const journal = await readJournal(scenario);
        expect(await strandedIn(client, Bucket, { journal })).toEqual([
          `version ${Key} null`,
          "upload firnline/a.parquet",
        ]);
      });
    });
  });
}

describe("what the journal knows", () => {
  const pin = (key: string, versionId: string | null): object => ({ key, versionId });
  const sealed = { type: "sealed", segment: "1", object: pin("a", "v1"), manifest: pin("m", "v2") };
  const transitioned = { type: "transitioned", segment: "1", object: pin("a", "v3") };
  const known = (...events: { type: string }[]): string[] => [
    ...pinnedBy(events.map((event) => ({ event }))),
  ];

  test("is what was sealed or packed last, until it is expired or collected", () => {
    expect(known(sealed)).toEqual(["a v1", "m v2"]);
    expect(known(sealed, transitioned)).toEqual(["m v2", "a v3"]);
    expect(known(sealed, { ...transitioned, segment: "2" } as never)).toEqual(["a v1", "m v2", "a v3"]);
    expect(known({ ...sealed, type: "packed", object: pin("a", null) } as never)).toEqual(["a null", "m v2"]);
    for (const type of ["expired", "collected"]) {
      const gone = { type, objects: [pin("a", "v3"), pin("other", "v9")] };
      expect(known(sealed, transitioned, gone as never)).toEqual(["m v2"]);
    }
  });
});
