/**
 * What must be true at every instant: the rows that the application has, and where they are. Each COMMIT is looked at as it
 * happens, with the rows that it took out of the table (I1, I2, I4, I6); the journal is held against it between steps.
 */
import { strict as assert } from "node:assert";
import { Bag } from "../model/rows.ts";
import { PIPELINE, TABLE } from "../model/terms.ts";
import type { Locator } from "../../src/archive/port.ts";
import type { MemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { Commit, State } from "./database.ts";
import { type Event, GENESIS, nameOf, Objects } from "./objects.ts";
import { prunedByJournal } from "./journal-reading.ts";
import { lineOf } from "./rows.ts";
import type { Process } from "./scheduler.ts";
import type { Row } from "./sql/compile-expression.ts";

/** Of these a chunk without rows in the catalog is wholly pruned. */
const READABLE = new Set(["pruning", "warm", "cooling", "cold"]);
/** What the policy does not say is the default: 14 days. */
const RECOVERY_MS = 14 * 86_400_000;
/** What a run writes under its lease. */
const GUARDED = ["firnline.segment", "firnline.chunk", "firnline.draft", TABLE];

/** What a run may do with a row at its time: take it out of the table at all, and without archiving it. */
export type MayGo = (line: string, process: Process) => "stay" | "archived" | "deleted";

export class Ledger {
  readonly objects = new Objects();
  /** Rows that are the application's: committed, and neither removed by it nor by a delete-only rule. */
  rows = new Bag();
  /** Every state of `rows` since somebody began to look, newest last. */
  readonly versions: string[][] = [[]];
  /** Rows that delete-only rules took. */
  deleted = 0;
  /** Set when a lost catalog or an older database makes rows stand in two places for a while. */
  isBlurred = false;
  /** Whether the catalog is another history's, until it is rebuilt: nothing may move. */
  isForeign = false;
  /** Objects that are not in the store as they were sent. */
  readonly damaged = new Set<string>();
  /** The first thing that was wrong. */
  failure: Error | undefined;
  readonly #mayGo: MayGo;
  readonly #store: () => MemoryArchive;
  readonly #now: () => number;
  /** When each object came, in simulated milliseconds. */
  readonly #since = new Map<string, number>();

  constructor(options: { mayGo: MayGo; store: () => MemoryArchive; now: () => number }) {
    this.#mayGo = options.mayGo;
    this.#store = options.store;
    this.#now = options.now;
  }

  /** Whoever finds something wrong must not be told by the process that did it, which would handle it. */
  guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.failure ??= error as Error;
    }
  }

  created(key: string, bytes: Uint8Array, isDamaged: boolean): void {
    if (isDamaged) this.damaged.add(key);
    if (!this.#since.has(key)) this.#since.set(key, this.#now());
    this.guard(() => this.objects.created(key, bytes));
  }

  /** An object goes: nothing may need that version of it any more. */
  removed(state: State, { key, versionId }: Locator): void {
    this.guard(() => {
      const kind = key.startsWith("_firnline/") ? "manifest_version_id" : "version_id";
      const segment = rowsOf(state, "firnline.segment").find((row) => row["segment"] === nameOf(key));
      const isKnown =
        segment !== undefined &&
        !["abandoned", "superseded", "expired", "expiring"].includes(String(segment["state"]));
      assert(!isKnown || segment[kind] !== versionId, `I9: ${key} was removed, and the catalog reads it`);
      assert(!key.includes("/journal/"), `I3: ${key} was removed`);
      const isCollected = this.objects
        .events("collected")
        .some(({ objects }) =>
          (objects as Locator[]).some((one) => one.key === key && one.versionId === versionId),
        );
      // A copy in another class takes the place of the version before.
      const isMoved = this.objects
        .events("transitioned")
        .some(({ object }) => (object as Locator).key === key && (object as Locator).versionId !== versionId);
      const age = this.#now() - (this.#since.get(key) ?? 0);
      assert(!isCollected || age >= RECOVERY_MS, `I9: ${key} was collected within the recovery window`);
      assert(isCollected || isMoved, `I9: ${key} was removed, and no entry of the journal says why`);
    });
  }

  /** Entries that hold a policy, oldest first: in the journal, or decided. */
  policies(state: State): string[] {
    const decided = outboxOf(state).filter(({ event }) => event.type === "policy");
    const journaled = this.objects.journal.filter(({ event }) => event.type === "policy");
    return [...new Set([...journaled, ...decided].map(({ entryId }) => entryId))];
  }

  /** Whether the journal has entries that this database neither follows nor has decided. */
  isOlder(state: State): boolean {
    const decided = new Set(outboxOf(state).map(({ entryId }) => entryId));
    const n = Number(pipelineOf(state)?.["journal_n"] ?? 0);
    return this.objects.journal.slice(n).some(({ entryId }) => !decided.has(entryId));
  }

  /**
   * The database is an older one, or its catalog is lost: what the application has now are the rows that it finds in the
   * table, and those that are in the archive alone, each once. Where nobody has written what became of a chunk it `mayBe`
   * that an application which deleted all of its rows gets them back.
   */
  begin(state: State, isOlder: boolean): { mayBe: ReadonlySet<string> } {
    const { pruned, unsure } = prunedByJournal(this.objects, isOlder ? [] : outboxOf(state), true);
    const isLost = pipelineOf(state) === undefined;
    const rows = isLost ? this.rows : [...hotOf(state), ...pruned];
    this.isBlurred = true;
    this.isForeign = true;
    this.rows = new Bag(new Set(rows));
    this.turnPage();
    return { mayBe: unsure };
  }

  /** The catalog is the archive's again. */
  settle(state: State, mayBe: ReadonlySet<string>): void {
    this.isForeign = false;
    const found = new Set([...hotOf(state), ...this.archived(state), ...this.#unknown(state)]);
    const lost = [...this.rows].filter((line) => !found.has(line));
    assert.deepEqual(lost, [], "I2: a rebuild lost rows");
    const invented = [...found].filter((line) => this.rows.count(line) === 0 && !mayBe.has(line));
    assert.deepEqual(invented, [], "I2: a rebuild made rows up");
    this.rows = new Bag(found);
    this.turnPage();
  }

  committed(commit: Commit): void {
    this.guard(() => this.#committed(commit));
  }

  #committed({ process, op, before, after, changed }: Commit): void {
    if (process.name === "application") this.#follow(before, after);
    else if (changed.has(TABLE)) this.#firnlineDeleted(process, before, after);
    if (process.run !== null) this.#requireLease(process, op, before, after, changed);
    this.#requireHead(after);
    if (changed.has(TABLE) || changed.has("firnline.chunk") || changed.has("firnline.segment"))
      this.inspect(after);
  }

  #follow(before: State, after: State): void {
    const [had, has] = [hotOf(before), hotOf(after)];
    for (const line of had.minus(has)) this.rows.remove(line);
    for (const line of has.minus(had)) this.rows.add(line);
    this.turnPage();
  }

  turnPage(): void {
    this.versions.push([...this.rows]);
  }

  /** I1: what a run took out of the table is in a sealed segment, or was a delete-only rule's to take. */
  #firnlineDeleted(process: Process, before: State, after: State): void {
    const [had, has] = [hotOf(before), hotOf(after)];
    assert.deepEqual(has.minus(had), [], "I2: Firnline wrote a row into the table");
    const pruned = new Bag(this.archived(after));
    const prunedBefore = new Bag(this.archived(before));
    const fresh = new Bag(pruned.minus(prunedBefore));
    let gone = 0;
    for (const line of had.minus(has)) {
      const may = this.#mayGo(line, process);
      assert(may !== "stay", `a row left the table before it was due: ${line}`);
      if (fresh.remove(line)) continue;
      const isArchived = this.isBlurred && pruned.count(line) > 0;
      if (isArchived) continue;
      assert(may === "deleted", `${this.#isSealed(line) ? "I4" : "I1"}: deleted, and not archived: ${line}`);
      this.rows.remove(line);
      gone += 1;
    }
    this.deleted += gone;
    if (gone > 0) this.turnPage();
  }

  #isSealed(line: string): boolean {
    return this.objects
      .events("sealed")
      .some(({ segment }) => this.objects.chunks(String(segment)).some((chunk) => chunk.includes(line)));
  }

  /** I6: under another lease than its own a run changes nothing. */
  #requireLease(
    process: Process,
    op: string,
    before: State,
    after: State,
    changed: ReadonlySet<string>,
  ): void {
    if (!GUARDED.some((table) => changed.has(table))) return;
    const holder = (state: State): unknown => pipelineOf(state)?.["lease_run"];
    const isHeld = holder(before) === process.run || holder(after) === process.run;
    assert(isHeld, `I6: ${process.name} wrote (${op}) without its lease, which ${String(holder(after))} has`);
  }

  /** I5: the catalog's head is an entry of the journal. */
  #requireHead(state: State): void {
    const row = pipelineOf(state);
    if (row === undefined) return;
    const n = Number(row["journal_n"]);
    const expected = n === 0 ? GENESIS : this.objects.journal[n - 1]?.sha256;
    assert.equal(row["journal_sha256"], expected, `I5: the catalog's head ${n} is no entry of the journal`);
  }

  /** Lines of all chunks that the catalog says are not in the table any more. */
  archived(state: State): string[] {
    const chunks = Map.groupBy(rowsOf(state, "firnline.chunk"), (row) => String(row["segment"]));
    return rowsOf(state, "firnline.segment").flatMap((row) => {
      if (!READABLE.has(String(row["state"]))) return [];
      const segment = String(row["segment"]);
      const all = this.objects.chunks(segment);
      const known = chunks.get(segment);
      if (known === undefined) return all.flat();
      return known.flatMap((chunk) =>
        chunk["state"] === "pruned" ? (all[Number(chunk["chunk"])] ?? []) : [],
      );
    });
  }

  /** I2: the table and the archive together hold the application's rows, each once. */
  inspect(state: State): void {
    if (this.isForeign) return;
    const found = new Bag([...hotOf(state), ...this.archived(state)]);
    const unknown = new Bag(this.#unknown(state));
    const lost = this.rows
      .minus(found)
      .filter((line) => unknown.count(line) === 0 && !(this.isBlurred && found.count(line) > 0));
    assert.deepEqual(lost, [], "I2: rows that are in no place");
    const twice = found.minus(this.rows).filter((line) => !this.isBlurred || this.rows.count(line) === 0);
    assert.deepEqual(twice, [], "I2: rows that nobody wrote, or that are in two places");
    this.#requireObjects(state);
  }

  /** Of chunks in state unknown: they may be in either place. */
  #unknown(state: State): string[] {
    return rowsOf(state, "firnline.chunk").flatMap((chunk) =>
      chunk["state"] === "unknown"
        ? (this.objects.chunks(String(chunk["segment"]))[Number(chunk["chunk"])] ?? [])
        : [],
    );
  }

  /** I1: what is archived alone lies in the store, byte for byte as it was sealed. */
  #requireObjects(state: State): void {
    const store = this.#store();
    for (const row of rowsOf(state, "firnline.segment")) {
      if (!READABLE.has(String(row["state"]))) continue;
      const key = this.#keyOf(String(row["segment"]));
      const manifest = Buffer.from(row["manifest_sha256"] as Uint8Array).toString("hex");
      const sealed = this.objects.sealed(manifest);
      assert.equal(this.objects.hashes.get(key), sealed, `I1: ${key} is not what was sealed`);
      assert(!this.damaged.has(key), `I1: ${key} is damaged, and its rows are in the archive alone`);
      const isThere = store.versions(key).some(({ versionId }) => versionId === row["version_id"]);
      assert(isThere, `I1: ${key} is gone, and its rows are in the archive alone`);
    }
  }

  #keyOf(segment: string): string {
    const found = [...this.objects.hashes.keys()].find((key) => key.endsWith(`/${segment}.parquet`));
    assert(found !== undefined, `I1: segment ${segment} has no object`);
    return found;
  }

  /** Between steps: the journal, with what is decided besides, says the same as the catalog. */
  inspectJournal(state: State): void {
    if (this.isForeign) return;
    this.guard(() => {
      const { pruned, unsure, deleted } = prunedByJournal(this.objects, outboxOf(state), this.isBlurred);
      const found = new Bag([...hotOf(state), ...pruned]);
      const lost = this.rows
        .minus(found)
        .filter((line) => !(this.isBlurred && (unsure.has(line) || found.count(line) > 0)));
      assert.deepEqual(lost, [], "I2: the journal lacks rows that the catalog has");
      if (this.isBlurred) return;
      assert.deepEqual(found.minus(this.rows), [], "I2: the journal has rows that nobody wrote, or twice");
      assert.equal(deleted, this.deleted, "rows of delete-only rules are counted in the journal");
    });
  }
}

export const rowsOf = (state: State, table: string): Row[] => [...(state.get(table)?.values() ?? [])];

const outboxOf = (state: State): { entryId: string; event: Event }[] =>
  rowsOf(state, "firnline.outbox").map((row) => ({
    entryId: String(row["entry_id"]),
    event: row["event"] as Event,
  }));
export const hotOf = (state: State): Bag => new Bag(rowsOf(state, TABLE).map(lineOf));
export const pipelineOf = (state: State): Row | undefined =>
  rowsOf(state, "firnline.pipeline").find((row) => row["pipeline"] === PIPELINE);
