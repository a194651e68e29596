/**
 * A bucket in memory with versions, and the lifecycle rule on Firnline's tag played by hand: it moves the object and keeps
 * its version, as AWS does. Pipelines run on it in this process; Postgres is real.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type MemoryArchive, openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { Archive, ListedVersion, Locator, ObjectHead } from "../../src/archive/port.ts";
import { type ErrorCode, FirnlineError } from "../../src/errors.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { type PolicyCold, parsePolicy, type Policy } from "../../src/policy/policy.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RetrieveResult } from "../../src/retrieve/retrieve-range.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import type { RunSummary } from "../../src/stages/run-pipeline.ts";
import { systemClock } from "../../src/wiring.ts";
import { AS_OF, type Environ, instantOf, type Scenario } from "./scenario.ts";

const DAY_MS = 86_400_000;
const FOLDERS = ["audit_logs/", "_firnline/audit_logs/"];

export class MemoryBucket {
  readonly objects: MemoryArchive;
  /** Versions that the bucket's rule has moved, and to which class. */
  readonly moved = new Map<string, string>();
  /** Keys that somebody has put a delete marker on. */
  readonly markers = new Set<string>();
  /** What was asked of the store, by method. */
  readonly calls = new Map<string, number>();
  readonly #scenario: Scenario;
  readonly #cold: Partial<PolicyCold>;
  /** What goes wrong with copies, and the versions that it went wrong with. */
  badCopies: "bytes" | "etag" | null = null;
  readonly #otherEtag = new Set<string>();
  /** What a HEAD of an object fails with. */
  headFailure: FirnlineError | null = null;
  /** Types of journal entries that cannot be created: each fails once, in this order. */
  readonly failingEntries: string[] = [];
  /** What is in a class that nothing can be read from without a restore, by key. */
  readonly unreadable = new Set<string>();
  /** The wall clock is so many days ahead. */
  daysAhead = 0;

  constructor(scenario: Scenario, cold: Partial<PolicyCold>, isVersioned = true) {
    this.#scenario = scenario;
    this.#cold = cold;
    this.objects = openMemoryArchive({
      now: () => this.#now(),
      random: (bytes) => randomBytes(bytes),
      restoreDelayMs: 0,
      versioned: isVersioned,
      locks: isVersioned,
      url: "s3://bucket/firnline",
    });
  }

  get policy(): Policy {
    const policy = parsePolicy(this.#scenario.policyText, "audit-logs.yaml");
    const { archive, cold } = policy;
    return {
      ...policy,
      archive: { ...archive, url: "s3://bucket/firnline" },
      cold: cold === null ? null : { ...cold, ...this.#cold },
    };
  }

  open(environ: Environ = {}, changes: Partial<Policy> = {}): Pipeline {
    return new Pipeline({
      policy: { ...this.policy, ...changes },
      connectionString: this.#scenario.url,
      settings: this.#scenario.settings(environ),
      clock: { ...systemClock, now: () => this.#now() },
      archive: this.archive,
    });
  }

  async run(environ: Environ = {}, asOf = AS_OF): Promise<RunSummary> {
    await using pipeline = this.open(environ);
    return await pipeline.run({ asOf: instantOf(asOf), backfill: true });
  }

  async retrieve(
    from = "0001-01-01",
    to = "9999-12-31",
  ): Promise<{ result: RetrieveResult; lines: string[] }> {
    await using pipeline = this.open();
    const out = join(this.#scenario.folder, `answer-${randomBytes(4).toString("hex")}.ndjson`);
    const result = await pipeline.retrieve(parseRange(from, to, []), {
      out,
      requestedBy: "a test",
      restore: { allow: "any" },
    });
    return { result, lines: (await readFile(out, "utf8")).split("\n").filter((line) => line !== "") };
  }

  /** Ids that a retrieval of everything gives, and those that are true. */
  async ids(): Promise<{ found: number[]; truth: number[] }> {
    const { lines } = await this.retrieve();
    const rows = await this.#scenario.query("SELECT id::int AS id FROM truth.rows ORDER BY id");
    const found = lines.map((line) => Number((JSON.parse(line) as { id: number | string }).id));
    return { found: found.sort((left, right) => left - right), truth: rows.map(({ id }) => Number(id)) };
  }

  /** Everything in the bucket; journal entries too. */
  async versions(folders: readonly string[] = FOLDERS): Promise<ListedVersion[]> {
    const found: ListedVersion[] = [];
    for (const folder of folders) {
      for await (const one of this.objects.listVersions(folder)) found.push(one);
    }
    return found;
  }

  /** What the journal and the catalog name of objects and manifests. */
  async pinned(): Promise<string[]> {
    const rows = await this.#scenario.query(
      `SELECT version_id AS version FROM firnline.segment WHERE state IN ('warm', 'cooling', 'cold')
       UNION ALL SELECT manifest_version_id FROM firnline.segment WHERE state IN ('warm', 'cooling', 'cold')`,
    );
    return rows.map(({ version }) => version as string).sort();
  }

  /** A rule of the bucket looks at what is tagged. Returns how many objects it has moved. */
  async applyRule(storageClass = "DEEP_ARCHIVE"): Promise<number> {
    let count = 0;
    for (const { key, versionId, isCurrent } of await this.versions()) {
      const head = await this.objects.head({ key, versionId });
      if (!isCurrent || head?.tags["firnline-tier"] !== "cold" || this.moved.has(`${versionId}`)) continue;
      this.moved.set(`${versionId}`, storageClass);
      count += 1;
    }
    return count;
  }

  /** The archive as a pipeline has it; closing it leaves the bucket. */
  get archive(): Archive {
    return new Proxy<Archive>(this.objects, {
      get: (target, name) => {
        if (name === Symbol.asyncDispose) return async () => {};
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...args: unknown[]): unknown => {
          this.calls.set(String(name), (this.calls.get(String(name)) ?? 0) + 1);
          if (name === "listVersions") return this.#listVersions(args[0] as string);
          const { key = "" } = (args[0] ?? {}) as { key?: string };
          const { headFailure } = this;
          if (name === "head" && headFailure !== null && key.startsWith("audit_logs/")) {
            return Promise.reject(headFailure);
          }
          if (name === "create" && this.#isFailing(args[0] as string, args[1])) {
            return Promise.reject(failure("E_ARCHIVE", args[0] as string, "slow down"));
          }
          if (name === "read" && this.unreadable.has(key)) throw failure("E_COLD", key, "it is cold");
          const result: unknown = Reflect.apply(value, target, args);
          if (name === "setClass") return this.#copied(result as Promise<Locator>);
          return name === "head" ? this.#asMoved(result as Promise<ObjectHead | null>) : result;
        };
      },
    });
  }

  #isFailing(key: string, body: unknown): boolean {
    const [type] = this.failingEntries;
    if (type === undefined || !key.includes("/journal/")) return false;
    if (
      !Buffer.from(body as Uint8Array)
        .toString()
        .includes(`"type":"${type}"`)
    )
      return false;
    this.failingEntries.shift();
    return true;
  }

  async *#listVersions(prefix: string): AsyncGenerator<ListedVersion, void, undefined> {
    for await (const one of this.objects.listVersions(prefix)) {
      const { key, modifiedAt } = one;
      const isMarked = this.markers.has(key);
      if (isMarked && one.isCurrent) {
        yield { key, versionId: "marker", bytes: 0n, modifiedAt, isCurrent: true, isDeleteMarker: true };
      }
      yield { ...one, isCurrent: one.isCurrent && !isMarked };
    }
  }

  async #copied(asked: Promise<Locator>): Promise<Locator> {
    const copy = await asked;
    if (this.badCopies === "bytes") {
      this.objects.corrupt(copy.key, (bytes) => bytes.with(99, (bytes[99] as number) ^ 1));
    }
    if (this.badCopies === "etag") this.#otherEtag.add(`${copy.versionId}`);
    return copy;
  }

  async #asMoved(asked: Promise<ObjectHead | null>): Promise<ObjectHead | null> {
    const head = await asked;
    if (head !== null && this.#otherEtag.has(`${head.versionId}`))
      return { ...head, etag: `"${"0".repeat(32)}"` };
    const storageClass = this.moved.get(`${head?.versionId}`);
    if (head === null || storageClass === undefined) return head;
    return { ...head, storageClass };
  }

  #now(): EpochMs {
    return (Date.now() + this.daysAhead * DAY_MS) as EpochMs;
  }
}

function failure(code: ErrorCode, subject: string, problem: string): FirnlineError {
  return new FirnlineError({ code, subject, problem, hint: "Wait", retryable: code === "E_ARCHIVE" });
}
