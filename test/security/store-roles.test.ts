/**
 * The three of `infra/terraform/iam.tf` at a bucket: a proxy denies what the policy of each does not allow. A run, a
 * retrieval and `collect` need no more than their own, and what is another's is refused with the reason.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type Asked, errorDocument, type HttpProxy, PASS, startHttpProxy } from "../support/http-proxy.ts";
import { expectSettled } from "../support/oracle.ts";
import { describeOn } from "../support/s3-server.ts";
import { LAST_COLD, LAST_DUE, moved, Scenario } from "../support/scenario.ts";

type Role = "exporter" | "retriever" | "collector";

const DENIED = { kind: "answer", status: 403, body: errorDocument("AccessDenied", "Access Denied") } as const;

/** What the policies say, of the requests that change something. */
function mayAsk(role: Role, { method, url }: Asked): boolean {
  const { pathname, searchParams } = new URL(url, "http://store");
  if (method === "GET" || method === "HEAD") return true;
  if (method === "DELETE") {
    if (searchParams.has("uploadId")) return role !== "retriever";
    return role === "collector" || (role === "exporter" && pathname.includes("/_firnline/_probe/"));
  }
  if (searchParams.has("restore")) return role === "retriever";
  if (role === "collector") return pathname.includes("/_firnline/");
  return role === "exporter";
}

await describeOn("moto", "roles at the bucket", (server) => {
  let proxy: HttpProxy;
  let scenario: Scenario;
  beforeAll(async () => {
    proxy = await startHttpProxy(server.endpoint);
    const bucket = await server.newBucket({ versioned: true });
    scenario = await Scenario.create({
      archive: { server: { ...server, endpoint: proxy.endpoint }, bucket },
      tiers: { cold: { storageClass: "DEEP_ARCHIVE", objectBytesMin: "1KiB" } },
    });
    await scenario.insert(auditRows(LAST_COLD, 1, 60));
    await scenario.insert(auditRows(LAST_DUE, 1_001, 60));
    await scenario.insert(auditRows("2026-02-20", 2_001, 20));
  });
  afterAll(async () => {
    await scenario?.[Symbol.asyncDispose]();
    await proxy?.[Symbol.asyncDispose]();
  });

  const as = (role: Role): void => proxy.script((asked) => (mayAsk(role, asked) ? PASS : DENIED));

  async function collect(): Promise<number> {
    await using pipeline = scenario.open();
    return (await pipeline.collect()).removed.objects;
  }

  test("each does its own work with what it may, and is told what it may not", async () => {
    as("exporter");
    await using pipeline = scenario.open();
    expect((await pipeline.doctor()).findings).toEqual([]);
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
    await expect(failing).rejects.toThrow("failpoint");
    // Its segment is superseded as a whole, and is garbage then.
    await scenario.change((table) => `UPDATE ${table} SET message = 'changed'`);
    expect(moved(await scenario.run())).toMatchObject({ pruned: 120 });
    await expectSettled(scenario);

    as("retriever");
    expect((await scenario.retrieve()).result.rows).toBe(140n);
    await scenario.insert(auditRows(LAST_DUE, 3_001, 10));
    await expect(scenario.run()).rejects.toThrow(
      /^E_ARCHIVE .+ does not allow it \(403 AccessDenied.+ s3:PutObject/,
    );

    as("exporter");
    expect(moved(await scenario.run())).toMatchObject({ pruned: 10 });
    expect(await collect()).toBe(0);
    await scenario.query("UPDATE firnline.garbage SET first_seen = first_seen - interval '15 days'");
    await expect(collect()).rejects.toThrow(
      /^E_ARCHIVE .+ does not allow it \(403 AccessDenied.+ s3:DeleteObject/,
    );

    as("collector");
    await scenario.insert(auditRows(LAST_DUE, 4_001, 10));
    await expect(scenario.run()).rejects.toThrow(
      /^E_ARCHIVE .+ does not allow it \(403 AccessDenied.+ s3:PutObject/,
    );
    expect(await collect()).toBeGreaterThan(0);

    proxy.script(() => PASS);
    await scenario.run();
    expect((await scenario.retrieve()).result.rows).toBe(160n);
  });
});
