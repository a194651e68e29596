/** What is garbage is said by the journal and the catalog; what a listing lacks says nothing (fault 32). */
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";

import { type MemoryArchive, openMemoryArchive } from "../../../src/archive/memory/memory-archive.ts";
import type { Archive } from "../../../src/archive/port.ts";
import type { CatalogContents } from "../../../src/catalog/upkeep.ts";
import type { Environment } from "../../../src/environment.ts";
import { type Listing, listGarbage } from "../../../src/repair/garbage.ts";
import { type EpochMs, parseDay } from "../../../src/rows/day.ts";
import { manifestKey, segmentKey } from "../../../src/segment/archive-keys.ts";
import { emptyHistory, type History, replay } from "../../../src/segment/history.ts";
import { EMPTY_JOURNAL, type JournalEvent, nextEntry } from "../../../src/segment/journal.ts";
import type { SegmentState } from "../../../src/segment/state.ts";
import { behind } from "../../support/stale-listing.ts";

const PIPELINE = "audit_logs";
const DAY = parseDay("2026-01-03");
const id = (n: number): string => `${String(n).padStart(12, "0")}-0123456789abcdef`;
const keysOf = (segment: string): [string, string] => [
  segmentKey(PIPELINE, "default", DAY, segment),
  manifestKey(PIPELINE, segment),
];

/** Two live segments, 1 and 2, and whatever else the test puts there. */
async function scene(): Promise<{ archive: MemoryArchive; history: History; put: Put }> {
  const archive = openMemoryArchive({
    now: () => 0 as EpochMs,
    random: (bytes) => randomBytes(bytes),
    restoreDelayMs: 0,
  });
  const put: Put = async (...keys) => {
    for (const key of keys) await archive.create(key, Buffer.from("ten bytes!"));
  };
  const history = emptyHistory();
  for (const segment of [id(1), id(2)]) {
    await put(...keysOf(segment));
    journal(history, sealed(segment));
  }
  return { archive, history, put };
}

type Put = (...keys: readonly string[]) => Promise<void>;

function sealed(segment: string): JournalEvent {
  const [object, manifest] = keysOf(segment).map((key) => ({
    key,
    versionId: null,
    etag: null,
    sha256: "0".repeat(64),
    bytes: "10",
  })) as [never, never];
  return {
    type: "sealed",
    segment,
    rule: "default",
    dayFrom: "2026-01-03",
    dayTo: "2026-01-03",
    rows: "1",
    object,
    manifest,
    root: "0".repeat(64),
    storageClass: "STANDARD",
    supersedes: [],
  };
}

function journal(history: History, event: JournalEvent): void {
  const entry = { entryId: "80647a7b-5861-490d-afcd-fdab9869a659", run: "r", epoch: "1", at: "", event };
  expect(replay(history, nextEntry(EMPTY_JOURNAL, entry))).toBeNull();
}

async function garbage(
  archive: Archive,
  history: History,
  catalog: Readonly<Record<string, SegmentState>> = {},
): Promise<{ keys: string[]; foreign: number }> {
  const { objects, foreign } = await listed(archive, history, catalog);
  return { keys: objects.map(({ key }) => key).sort(), foreign };
}

async function listed(
  archive: Archive,
  history: History,
  catalog: Readonly<Record<string, SegmentState>> = {},
): Promise<Listing> {
  const environment = {
    archive,
    policy: { pipeline: PIPELINE },
    newHash: () => createHash("sha256"),
    report: () => {},
  } as unknown as Environment<unknown>;
  const segments = new Map(
    Object.entries(catalog).map(([segment, state]) => [segment, { record: { segment, state }, chunks: [] }]),
  );
  const contents = { segments } as unknown as CatalogContents;
  const { signal } = new AbortController();
  return await listGarbage(environment, history, contents, signal);
}

describe("garbage is", () => {
  it("nothing of a live segment, and nothing that is not Firnline's", async () => {
    const { archive, history, put } = await scene();
    await put(`${PIPELINE}/README.txt`, `_firnline/${PIPELINE}/manifests/notes.json`);
    expect(await garbage(archive, history)).toEqual({ keys: [], foreign: 2 });
  });

  it("what no entry and no catalog names, and what a catalog gave up; but nothing that a run may still seal", async () => {
    const { archive, history, put } = await scene();
    for (const n of [3, 4, 5, 6]) await put(...keysOf(id(n)));
    const catalog = { [id(4)]: "abandoned", [id(5)]: "exporting", [id(6)]: "uploaded" } as const;
    expect(await garbage(archive, history, catalog)).toEqual({
      keys: [...keysOf(id(3)), ...keysOf(id(4))].sort(),
      foreign: 0,
    });
  });

  it("what was collected and is still there", async () => {
    const { archive, history } = await scene();
    const [object] = keysOf(id(2));
    journal(history, { type: "collected", objects: [{ key: object, versionId: null, bytes: "10" }] });
    expect((await garbage(archive, history)).keys).toEqual(keysOf(id(2)).sort());
  });

  it("not of another pipeline, whatever its name begins with", async () => {
    const { archive, history, put } = await scene();
    await put(segmentKey("audit_logs_2", "default", DAY, id(7)), manifestKey("audit", id(8)));
    expect(await garbage(archive, history)).toEqual({ keys: [], foreign: 0 });
  });
});

describe("in a bucket with versions", () => {
  /** Segment 1 is live, pinned at the first of its two versions. */
  async function versioned(): Promise<{ archive: MemoryArchive; history: History; key: string }> {
    const archive = openMemoryArchive({
      now: () => 0 as EpochMs,
      random: (bytes) => randomBytes(bytes),
      restoreDelayMs: 0,
      versioned: true,
    });
    const history = emptyHistory();
    const [key, manifest] = keysOf(id(1));
    const pins = await Promise.all(
      [key, manifest].map(async (one) => {
        const created = await archive.create(one, Buffer.from("ten bytes!"));
        const pin = created.outcome === "created" ? created.pin : null;
        return { ...pin, bytes: "10" };
      }),
    );
    const event = sealed(id(1)) as Extract<JournalEvent, { type: "sealed" }>;
    journal(history, { ...event, object: pins[0] as never, manifest: pins[1] as never });
    await archive.setClass({ key, versionId: null }, "DEEP_ARCHIVE");
    return { archive, history, key };
  }
  const transitioned = (key: string, versionId: string | null): JournalEvent => ({
    type: "transitioned",
    segment: id(1),
    storageClass: "DEEP_ARCHIVE",
    object: { key, versionId, etag: null, sha256: "0".repeat(64), bytes: "10" },
  });
  const versionsOf = async (archive: Archive, history: History): Promise<(string | null)[]> => {
    const { objects } = await listed(archive, history);
    return objects.map(({ versionId }) => versionId);
  };

  it("every version but the pinned one is, whichever is current", async () => {
    const { archive, history, key } = await versioned();
    const [before, after] = archive.versions(key).map(({ versionId }) => versionId);
    expect(await versionsOf(archive, history)).toEqual([after]);
    journal(history, transitioned(key, after ?? null));
    expect(await versionsOf(archive, history)).toEqual([before]);
  });

  it("a version that was collected is not its segment", async () => {
    const { archive, history, key } = await versioned();
    const [before, after] = archive.versions(key).map(({ versionId }) => versionId as string);
    journal(history, transitioned(key, after as string));
    const objects = [{ key, versionId: before as string, bytes: "10" }];
    journal(history, { type: "collected", objects });
    expect(history.segments.get(id(1))?.isCollected).toBe(false);
    await archive.deleteVersion({ key, versionId: before as string });
    expect(await versionsOf(archive, history)).toEqual([]);
    journal(history, { type: "collected", objects: [{ key, versionId: after as string, bytes: "10" }] });
    expect(history.segments.get(id(1))?.isCollected).toBe(true);
  });

  it("the pinned version must be listed, whatever else is", async () => {
    const { archive, history, key } = await versioned();
    await archive.deleteVersion(archive.versions(key)[0] as never);
    await expect(versionsOf(archive, history)).rejects.toMatchObject({ code: "E_VERIFY", key });
  });

  it("a delete marker is nobody's", async () => {
    const { archive, history, key } = await versioned();
    const marked = new Proxy<Archive>(archive, {
      get(target, name) {
        if (name !== "listVersions") return Reflect.get(target, name) as unknown;
        return async function* (prefix: string) {
          for await (const one of target.listVersions(prefix)) yield { ...one, isCurrent: false };
          const marker = { versionId: "m", bytes: 0n, modifiedAt: 0 as EpochMs };
          if (key.startsWith(prefix)) yield { key, ...marker, isCurrent: true, isDeleteMarker: true };
        };
      },
    });
    expect(await versionsOf(marked, history)).toEqual([archive.versions(key)[1]?.versionId]);
  });

  it("what is left in the bucket of an object that is in a vault is", async () => {
    const { archive, history, key } = await versioned();
    const event = transitioned(key, "archive-id-of-the-vault");
    journal(history, { ...event, storageClass: "GLACIER_VAULT" } as JournalEvent);
    expect(await versionsOf(archive, history)).toEqual(
      archive
        .versions(key)
        .map(({ versionId }) => versionId)
        .toReversed(),
    );
  });
});

describe("nothing is garbage", () => {
  it.each([0, 1])("if the listing lacks an object that must be there: %i", async (which) => {
    const { archive, history, put } = await scene();
    await put(...keysOf(id(3)));
    const hidden = keysOf(id(2))[which] as string;
    const store = behind(archive, (key) => key !== hidden);
    await expect(garbage(store, history)).rejects.toMatchObject({ code: "E_VERIFY", key: hidden });
    await expect(
      garbage(
        behind(archive, () => false),
        history,
      ),
    ).rejects.toThrow(/lacks it, and 3 more/);
  });

  it("if one has another size", async () => {
    const { archive, history } = await scene();
    const [object] = keysOf(id(1));
    archive.corrupt(object, () => Buffer.from("eleven bytes"));
    await expect(garbage(archive, history)).rejects.toThrow(/it has 12 bytes, and 10 were sealed/);
  });

  it("of a segment that the catalog alone, or the journal alone, gives up", async () => {
    const { archive, history } = await scene();
    journal(history, { type: "superseded", segment: id(1), chunks: [0], reason: "" });
    expect((await garbage(archive, history)).keys).toEqual([]);
    // The catalog says so too: now its manifest must say how many chunks it has.
    await expect(garbage(archive, history, { [id(1)]: "superseded" })).rejects.toMatchObject({
      code: "E_VERIFY",
    });
  });
});
