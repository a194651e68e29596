/** Restores in a bucket: the store refuses to read a cold object, is asked once, and keeps it cold all the while. */
import { GetObjectCommand, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { expect, test, vi } from "vitest";
import { coldHeads, createColdDays, restoreRows, wired } from "../support/cold-days.ts";
import { type Asked, errorDocument, type Fate, PASS, startHttpProxy } from "../support/http-proxy.ts";
import { clientOf, describeOn, saw } from "../support/s3-server.ts";
import { moved, NOTHING, type Scenario } from "../support/scenario.ts";
import { expectNothingStranded } from "../support/stranded.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RestoreTerms } from "../../src/retrieve/restore-quote.ts";
import { join } from "node:path";

const YEARS = ["--from", "2025-12-01", "--to", "2026-02-28"] as const;
const RANGE = parseRange("2025-12-01", "2026-02-28");
const WITHIN = { timeout: 60_000, interval: 50 };

/** In front of a store that restores at once: what was asked for is under way until `isReady`, as S3 tells it. */
class SlowRestores {
  isReady = false;
  /** How often a copy that is under way was looked at. */
  looks = 0;
  /** Requests for a copy, by the object's path. */
  readonly asked = new Map<string, number>();

  fateOf({ method, url }: Asked): Fate {
    const [path = "", query = ""] = url.split("?");
    if (method === "POST" && /(?:^|&)restore\b/.test(query)) {
      const count = (this.asked.get(path) ?? 0) + 1;
      this.asked.set(path, count);
      return count === 1 ? PASS : refused(409, "RestoreAlreadyInProgress");
    }
    if (this.isReady || !this.asked.has(path)) return PASS;
    if (method === "GET" && !/(?:^|&)tagging\b/.test(query)) return refused(403, "InvalidObjectState");
    if (method !== "HEAD") return PASS;
    this.looks += 1;
    const restore = { "x-amz-restore": 'ongoing-request="true"' };
    return {
      kind: "change",
      change: (answer) => ({ ...answer, headers: { ...answer.headers, ...restore } }),
    };
  }
}

const refused = (status: number, code: string): Fate => ({
  kind: "answer",
  status,
  body: errorDocument(code),
});

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

await describeOn("moto", "restores that take their time", (server) => {
  test("are waited for by two processes that are killed, and by a third one: each object is asked for once", async () => {
    const bucket = await server.newBucket({ versioned: true });
    await using proxy = await startHttpProxy(server.endpoint);
    const behind = { ...server, endpoint: proxy.endpoint };
    const tiers = { cold: { storageClass: "DEEP_ARCHIVE", transition: "copy", objectBytesMin: "0B" } };
    await using scenario = await createColdDays({ archive: { server: behind, bucket }, tiers });
    const slow = new SlowRestores();
    proxy.script((asked) => slow.fateOf(asked));
    const retrieving = (name: string, ...args: readonly string[]) => {
      const out = ["--out", join(scenario.folder, name)];
      return scenario.spawn(["retrieve", "audit-logs", ...YEARS, ...out, ...args]);
    };
    {
      await using first = retrieving("first.ndjson", "--yes");
      await using second = retrieving("second.ndjson", "--yes");
      const begun = "SELECT count(*)::int AS count FROM firnline.retrieval";
      await vi.waitFor(async () => expect(await scenario.query(begun)).toEqual([{ count: 2 }]), WITHIN);
      const before = slow.looks;
      await vi.waitFor(() => expect(slow.looks).toBeGreaterThan(before + 12), WITHIN);
      for (const one of [first, second]) {
        one.signal("SIGKILL");
        expect(await one.ended).toMatchObject({ code: null, signal: "SIGKILL" });
      }
    }
    expect((await restoreRows(scenario)).map((row) => row["state"])).toEqual(Array(3).fill("restoring"));
    const before = slow.looks;
    await using third = retrieving("first.ndjson");
    await vi.waitFor(() => expect(slow.looks).toBeGreaterThan(before + 6), WITHIN);
    slow.isReady = true;
    const { code, stdout, stderr } = await third.ended;
    expect({ code, errors: stderr.includes("E_") }).toEqual({ code: 0, errors: false });
    expect(stdout).toContain(": 300 rows, ");
    expect([...slow.asked.values()]).toEqual([1, 1, 1]);
    expect((await restoreRows(scenario)).map((row) => row["state"])).toEqual(Array(3).fill("readable"));
    const client = clientOf(server);
    await expectNothingStranded(scenario, client, bucket);
    client.destroy();
    saw(server, "kill -9 of two retrievals that wait", "a third one joins: one request an object");
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
