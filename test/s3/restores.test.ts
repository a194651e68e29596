/** Restores in a bucket: the store refuses to read a cold object, is asked once, and keeps it cold all the while. */
import { GetObjectCommand, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { coldHeads, createColdDays, restoreRows, wired } from "../support/cold-days.ts";
import { clientOf, describeOn, saw } from "../support/s3-server.ts";
import { moved, NOTHING, type Scenario } from "../support/scenario.ts";
import { expectNothingStranded } from "../support/stranded.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RestoreTerms } from "../../src/retrieve/restore-quote.ts";
import { join } from "node:path";

const RANGE = parseRange("2025-12-01", "2026-02-28");

async function retrieve(scenario: Scenario, restore: RestoreTerms) {
  await using pipeline = scenario.open();
  const out = join(scenario.folder, "answer.ndjson");
  return await pipeline.retrieve(RANGE, { out, requestedBy: "alice", restore });
}

async function coldObjects(scenario: Scenario) {
  await using own = wired(scenario, {});
  return await coldHeads(own);
}

async function errorOf(client: S3Client, Bucket: string, Key: string): Promise<unknown> {
  return await client.send(new GetObjectCommand({ Bucket, Key })).then(
    () => null,
    (error: unknown) => error,
  );
}

await describeOn("moto", "restores", (server) => {
  test("a cold object cannot be read, its copy is asked for once, and it is never archived again", async () => {
    const bucket = await server.newBucket({ versioned: true });
    const tiers = { cold: { storageClass: "GLACIER", transition: "copy", objectBytesMin: "0B" } };
    await using scenario = await createColdDays({ archive: { server, bucket }, tiers });
    const client = clientOf(server);
    const cold = await coldObjects(scenario);
    expect(cold.map(({ access, storageClass }) => [storageClass, access.state])).toEqual([
      ["GLACIER", "archived"],
      ["GLACIER", "archived"],
      ["GLACIER", "archived"],
    ]);
    const keys = cold.map(({ key }) => `firnline/${key}`);
    expect(await errorOf(client, bucket, keys[0] as string)).toMatchObject({
      name: "InvalidObjectState",
      $metadata: { httpStatusCode: 403 },
    });
    saw(server, "GET of a cold object", "403 InvalidObjectState");

    // No price list is known for a store that is not AWS.
    await expect(retrieve(scenario, {})).rejects.toMatchObject({
      code: "E_INPUT",
      problem: expect.stringContaining("3 cold segments"),
    });
    expect(await restoreRows(scenario)).toEqual([]);
    const result = await retrieve(scenario, { allow: "any", days: 2 });
    expect(result).toMatchObject({ rows: 300n, restored: 3, rowsFrom: { hot: 60n, warm: 60n, cold: 180n } });
    saw(server, "restore", "RestoreObject, read and verified");

    for (const { access, storageClass } of await coldObjects(scenario)) {
      expect([storageClass, access.state]).toEqual(["GLACIER", "readable"]);
      expect(access).toMatchObject({ until: expect.any(Number) });
    }
    const { Restore } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: keys[0] as string }));
    expect(Restore).toContain('ongoing-request="false"');
    // Readable already: nobody is asked, and nothing is paid.
    expect(await retrieve(scenario, {})).toMatchObject({ rows: 300n, restored: 0 });
    const rows = await restoreRows(scenario);
    expect(rows.map((row) => [row["state"], row["tier"], row["days"]])).toEqual(
      rows.map(() => ["readable", "Standard", 2]),
    );
    expect(rows).toHaveLength(3);
    expect(moved(await scenario.run())).toEqual(NOTHING);
    expect((await coldObjects(scenario)).map(({ versionId }) => versionId)).toEqual(
      cold.map(({ versionId }) => versionId),
    );
    await expectNothingStranded(scenario, client, bucket);
    client.destroy();
  });
});

await describeOn("ceph", "restores", (server) => {
  test("a store that has none, and reads what it calls cold, is read as it is", async () => {
    const bucket = await server.newBucket({ versioned: true });
    const tiers = { cold: { storageClass: "GLACIER", transition: "copy", objectBytesMin: "0B" } };
    await using scenario = await createColdDays({ archive: { server, bucket }, tiers });
    expect((await coldObjects(scenario)).map(({ storageClass }) => storageClass)).toEqual([
      "GLACIER",
      "GLACIER",
      "GLACIER",
    ]);
    expect(await retrieve(scenario, {})).toMatchObject({ rows: 300n, restored: 0, rowsFrom: { cold: 180n } });
    expect(await restoreRows(scenario)).toEqual([]);
    const client = clientOf(server);
    await expectNothingStranded(scenario, client, bucket);
    client.destroy();
    saw(server, "GET of a cold object", "reads it");
    saw(server, "restore", "not needed");
  });
});
