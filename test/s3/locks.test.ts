/**
 * Object Lock and legal holds, where a server enforces them that nobody here wrote: what is locked cannot be deleted by the
 * owner of the bucket either, and what the policy lets go of is not journaled before the store would let it go.
 */
import {
  DeleteObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { expect, test, vi } from "vitest";
import { parseDay } from "../../src/rows/day.ts";
import { auditRows } from "../support/audit-rows.ts";
import { clientOf, describeOn, type S3Server, saw } from "../support/s3-server.ts";
import { moved, Scenario, type ScenarioOptions } from "../support/scenario.ts";
import { expectNothingStranded } from "../support/stranded.ts";
import { expectVerified, verify } from "../support/verified.ts";

const DAY = "2026-01-10";
const DAY_MS = 86_400_000;
/** A lock that ends some weeks from now, as ages of the record are counted. */
const KEEP_DAYS = Math.ceil((Date.now() - Date.parse(`${DAY}T00:00:00Z`)) / DAY_MS) + 30;
const UNTIL = new Date(Date.parse(`${DAY}T00:00:00Z`) + (KEEP_DAYS + 1) * DAY_MS);
/** It lets go of the day as of here. */
const EXPIRING = { cold: { storageClass: "STANDARD_IA", keep: "90d", objectBytesMin: "1GiB" } };
const DUE = "2026-04-20";

interface Version {
  readonly Key: string;
  readonly VersionId: string;
}

async function versions(client: S3Client, Bucket: string, ending = ""): Promise<Version[]> {
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
  return Versions.flatMap(({ Key = "", VersionId = "" }) =>
    Key.endsWith(ending) ? [{ Key, VersionId }] : [],
  );
}

/** Object and manifest of the one segment. */
async function segmentVersions(client: S3Client, bucket: string): Promise<Version[]> {
  return (await versions(client, bucket)).filter(({ Key }) => !Key.includes("/journal/"));
}

async function filled(
  server: S3Server,
  bucket: string,
  options: { readonly lock?: object; readonly tiers?: ScenarioOptions["tiers"] } = {},
): Promise<Scenario> {
  const { lock, tiers } = options;
  const scenario = await Scenario.create({
    archive: { server, bucket, ...(lock === undefined ? {} : { policy: { lock } }) },
    environ: { FIRNLINE_SEGMENT_MIB: "1024" },
    ...(tiers === undefined ? {} : { tiers }),
  });
  await scenario.insert(auditRows(DAY, 1, 60));
  return scenario;
}

const refused = async (work: Promise<unknown>): Promise<void> => {
  await expect(work).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
};

await describeOn("ceph", "locks", (server) => {
  test.each(["governance", "compliance"] as const)(
    "%s: everything of the archive is locked before the rows go, and nobody can delete a version",
    async (mode) => {
      const client = clientOf(server);
      const Bucket = await server.newBucket({ locked: true });
      await using scenario = await filled(server, Bucket, { lock: { mode, keep: `${KEEP_DAYS}d` } });
      expect(moved(await scenario.run())).toMatchObject({ exported: 60, pruned: 60 });
      const all = await versions(client, Bucket);
      expect(all.length).toBeGreaterThan(5);
      for (const { Key, VersionId } of all) {
        const { Retention } = await client.send(new GetObjectRetentionCommand({ Bucket, Key, VersionId }));
        expect(Retention?.Mode, Key).toBe(mode.toUpperCase());
        const end = Retention?.RetainUntilDate as Date;
        // Entries of the journal count from when they are written.
        if (Key.includes("/journal/"))
          expect(end.getTime()).toBeGreaterThan(Date.now() + (KEEP_DAYS - 1) * DAY_MS);
        else expect(end).toEqual(UNTIL);
        await refused(client.send(new DeleteObjectCommand({ Bucket, Key, VersionId })));
      }
      saw(server, `lock ${mode}: a version cannot be deleted`);
      if (mode === "compliance") {
        const [first] = await segmentVersions(client, Bucket);
        const bypass = { Bucket, ...(first as Version), BypassGovernanceRetention: true };
        await refused(client.send(new DeleteObjectCommand(bypass)));
        saw(server, "lock compliance: no bypass");
      }
      await expectNothingStranded(scenario, client, Bucket);
      // A marker hides the objects from whoever asks without a version; the pins are of versions.
      for (const { Key } of await segmentVersions(client, Bucket)) {
        await client.send(new DeleteObjectCommand({ Bucket, Key }));
      }
      expect((await scenario.retrieve()).lines).toHaveLength(60);
      expect(await versions(client, Bucket)).toEqual(all);
    },
  );

  test("a longer policy lengthens the locks that are there, and a bucket without locks is refused", async () => {
    const client = clientOf(server);
    const Bucket = await server.newBucket({ locked: true });
    await using scenario = await filled(server, Bucket);
    await scenario.run();
    const endOf = async ({ Key, VersionId }: Version): Promise<Date | undefined> => {
      const { Retention } = await client.send(new GetObjectRetentionCommand({ Bucket, Key, VersionId }));
      return Retention?.RetainUntilDate;
    };
    const policy = (keep: number) => ({
      archive: { server, bucket: Bucket, policy: { lock: { mode: "governance", keep: `${keep}d` } } },
    });
    for (const days of [KEEP_DAYS, KEEP_DAYS + 10]) {
      const longer = await Scenario.over(scenario, policy(days)); // the first one disposes of all
      expect((await verify(longer)).findings).toHaveLength(2);
      const { plan } = await longer.run();
      expect(plan.steps.map(({ stages }) => stages)).toEqual([["lock"]]);
      const wanted = new Date(UNTIL.getTime() + (days - KEEP_DAYS) * DAY_MS);
      for (const one of await segmentVersions(client, Bucket)) expect(await endOf(one)).toEqual(wanted);
      expect((await longer.run()).plan.steps).toEqual([]);
      await expectVerified(longer);
    }
    await expectNothingStranded(scenario, client, Bucket);
    const unlocked = await server.newBucket({ versioned: true });
    await using other = await filled(server, unlocked, {
      lock: { mode: "governance", keep: `${KEEP_DAYS}d` },
    });
    await expect(other.run()).rejects.toThrow("E_BUCKET");
    expect(await versions(client, unlocked)).toEqual([]);
    expect(await other.count()).toBe(60);
    const doctor = await other.spawn(["doctor"]).ended;
    expect(doctor).toMatchObject({ code: 12 });
    expect(doctor.stdout + doctor.stderr).toContain("E_BUCKET");
  });

  test("expire waits for a lock, journals nothing before, and removes every version after", async () => {
    const client = clientOf(server);
    const Bucket = await server.newBucket({ locked: true });
    await using scenario = await filled(server, Bucket, { tiers: EXPIRING });
    await scenario.run();
    const [object] = await versions(client, Bucket, ".parquet");
    const until = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 6_000);
    await client.send(
      new PutObjectRetentionCommand({
        Bucket,
        ...(object as Version),
        Retention: { Mode: "COMPLIANCE", RetainUntilDate: until },
      }),
    );
    const { expired, plan } = await scenario.run({ asOf: DUE });
    expect(expired).toBe(0n);
    expect(plan.held.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/^does not expire: .*\.parquet is locked until /),
    ]);
    expect(await segmentVersions(client, Bucket)).toHaveLength(2);
    await vi.waitUntil(async () => (await scenario.run({ asOf: DUE })).expired === 60n, {
      timeout: 60_000,
      interval: 1_000,
    });
    expect(Date.now()).toBeGreaterThanOrEqual(until.getTime());
    expect(await segmentVersions(client, Bucket)).toEqual([]);
    expect(await expectVerified(scenario)).toMatchObject({ expired: 1 });
    await expectNothingStranded(scenario, client, Bucket);
    saw(server, "expire: refused by a lock, done after it");
  });

  test("expire removes what was archived before versions were turned on, and off again", async () => {
    const client = clientOf(server);
    const Bucket = await server.newBucket();
    await using scenario = await filled(server, Bucket, { tiers: EXPIRING });
    await scenario.run();
    const VersioningConfiguration = { Status: "Suspended" } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    expect(await scenario.run({ asOf: DUE })).toMatchObject({ state: "done", expired: 60n });
    expect(await segmentVersions(client, Bucket)).toEqual([]);
    await expectNothingStranded(scenario, client, Bucket);
    saw(server, "expire: a bucket whose versioning is suspended");
  });

  test("a hold puts a legal hold on object and manifest, which keeps them, and takes it off again", async () => {
    const client = clientOf(server);
    const Bucket = await server.newBucket({ locked: true });
    await using scenario = await filled(server, Bucket, { tiers: EXPIRING });
    await scenario.run();
    const statuses = async (): Promise<(string | undefined)[]> =>
      await Promise.all(
        (await segmentVersions(client, Bucket)).map(async ({ Key, VersionId }) => {
          const { LegalHold } = await client
            .send(new GetObjectLegalHoldCommand({ Bucket, Key, VersionId }))
            .catch(() => ({ LegalHold: { Status: "none" } }));
          return LegalHold?.Status;
        }),
      );
    await using pipeline = scenario.open();
    const days = { dayFrom: parseDay(DAY), dayTo: parseDay(DAY) };
    const placed = await pipeline.holds.place({ ...days, reason: "case 17", placedBy: "jane" });
    expect(placed).toMatchObject({ legalHolds: 1, tooLate: { segments: 0 } });
    expect(await statuses()).toEqual(["ON", "ON"]);
    for (const version of await segmentVersions(client, Bucket)) {
      await refused(client.send(new DeleteObjectCommand({ Bucket, ...version })));
    }
    expect((await scenario.run({ asOf: DUE })).expired).toBe(0n);
    await expectVerified(scenario);
    const { hold } = placed.hold;
    expect(await pipeline.holds.release({ hold, reason: "settled", releasedBy: "joe" })).toMatchObject({
      legalHolds: 1,
    });
    expect(await statuses()).toEqual(["OFF", "OFF"]);
    expect((await scenario.run({ asOf: DUE })).expired).toBe(60n);
    expect(await segmentVersions(client, Bucket)).toEqual([]);
    await expectNothingStranded(scenario, client, Bucket);
    saw(server, "legal hold: placed, enforced, taken off");
  });
});
