/**
 * A Postgres in memory, as far as Firnline's statements go: snapshots, row locks that are waited for, unique keys, COMMITs
 * that apply everything at once or nothing. What its statements say is read by `sql/`, so that the real adapters run on it
 * unchanged. A session belongs to a process and dies with it.
 */
import { FirnlineError } from "../../src/errors.ts";
import { lostCommit } from "../../src/postgres/checked-out.ts";
import type { QueryResult, TransactionMode } from "../../src/postgres/database.ts";
import { databaseError } from "../../src/postgres/errors.ts";
import { answerOfServer } from "./server-answers.ts";
import type { Chance } from "./chance.ts";
import { copyBinary, type Take } from "./copy-rows.ts";
import { type Process, Crash, type Scheduler } from "./scheduler.ts";
import type { Row } from "./sql/compile-expression.ts";
import { type Access, handOutRows } from "./sql/compile-select.ts";
import type { Outcome, Statements } from "./sql/compile-statement.ts";
import type { LockMode } from "./sql/syntax.ts";
import { oidOf } from "./sql/functions.ts";
import { SqlError } from "./sql/values.ts";

/** Rows of each table, by their place. Never changed: a commit makes another. */
export type State = ReadonlyMap<string, ReadonlyMap<bigint, Row>>;

export interface Commit {
  readonly process: Process;
  readonly op: string;
  readonly before: State;
  readonly after: State;
  /** Tables of which rows changed. */
  readonly changed: ReadonlySet<string>;
}

/** A row that is updated gets another place here, as in a heap. */
const HEAPS = new Set(["public.events"]);
const COPY_ROWS_A_TURN = 4;

/** Somebody else has the lock. */
class MustWait extends Error {
  readonly key: string;
  readonly mode: LockMode;

  constructor(key: string, mode: LockMode) {
    super("must wait");
    this.key = key;
    this.mode = mode;
  }
}

const rowsOfTable = new WeakMap<ReadonlyMap<bigint, Row>, readonly Row[]>();

export class MemoryDatabase {
  state: State;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly statements: Statements;
  readonly lockTimeoutMs = 20_000;
  readonly idleInTransactionMs: number;
  /** Milliseconds that the server's clock is off. */
  clockMs = 0;
  onCommit: (commit: Commit) => void = () => {};
  readonly #sequences = new Map<string, bigint>();
  readonly #open = new Set<MemoryTransaction>();
  #place = 0n;

  constructor(options: {
    state: State;
    scheduler: Scheduler;
    chance: Chance;
    statements: Statements;
    idleInTransactionMs: number;
  }) {
    this.state = options.state;
    this.scheduler = options.scheduler;
    this.chance = options.chance;
    this.statements = options.statements;
    this.idleInTransactionMs = options.idleInTransactionMs;
  }

  session(process: Process): MemorySession {
    return new MemorySession(this, process);
  }

  get now(): number {
    return this.scheduler.now + this.clockMs;
  }

  nextPlace(): bigint {
    this.#place += 1n;
    return this.#place;
  }

  nextval(sequence: string): bigint {
    const value = (this.#sequences.get(sequence) ?? 0n) + 1n;
    this.#sequences.set(sequence, value);
    return value;
  }

  begin(tx: MemoryTransaction): void {
    this.#open.add(tx);
  }

  /** Its locks are free. */
  end(tx: MemoryTransaction): void {
    this.#open.delete(tx);
  }

  commit(tx: MemoryTransaction, op: string): void {
    const before = this.state;
    const after = new Map(before);
    for (const [table, writes] of tx.writes) {
      const rows = new Map(before.get(table));
      for (const [place, row] of writes) if (row === null) rows.delete(place);
      // A new version stands behind all others.
      for (const [place, row] of writes) if (row !== null) rows.set(place, row);
      after.set(table, rows);
    }
    this.end(tx);
    if (tx.writes.size === 0) return;
    this.state = after;
    this.onCommit({ process: tx.process, op, before, after, changed: new Set(tx.writes.keys()) });
  }

  abortOf(process: Process): void {
    for (const tx of this.#open)
      if (tx.process === process && !tx.isCommitting) tx.abort("57P01", "terminating connection");
  }

  /** Whoever is silent for too long within a writing transaction is thrown out. */
  throwOutIdle(): void {
    for (const tx of this.#open) {
      if (
        tx.mode !== "read write" ||
        tx.isWaiting ||
        tx.isCommitting ||
        this.now - tx.lastMs <= this.idleInTransactionMs
      )
        continue;
      tx.abort("25P03", "terminating connection due to idle-in-transaction timeout");
    }
  }

  /** Everybody is thrown out, and what was committed since is forgotten. */
  restore(state: State): void {
    for (const tx of this.#open) tx.abort("57P01", "terminating connection due to administrator command");
    this.state = state;
  }

  /** Who keeps `tx` from the lock. */
  holders(tx: MemoryTransaction, key: string, mode: LockMode): MemoryTransaction[] {
    return [...this.#open].filter((other) => other !== tx && other.holds(key, mode));
  }
}

const CONFLICTS: Readonly<Record<LockMode, readonly LockMode[]>> = {
  share: ["no key update", "update"],
  "no key update": ["share", "no key update", "update"],
  update: ["share", "no key update", "update"],
};

const connectionLost = (op: string): FirnlineError =>
  databaseError(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }), op);

/** What the adapters take for the pool of connections. */
export class MemorySession {
  readonly #database: MemoryDatabase;
  readonly #process: Process;

  constructor(database: MemoryDatabase, process: Process) {
    this.#database = database;
    this.#process = process;
  }

  get lockTimeoutMs(): number {
    return this.#database.lockTimeoutMs;
  }

  get idleInTransactionMs(): number {
    return this.#database.idleInTransactionMs;
  }

  async transaction<T>(
    mode: TransactionMode,
    op: string,
    work: (tx: MemoryTransaction) => Promise<T>,
  ): Promise<T> {
    const [database, process] = [this.#database, this.#process];
    if (process.isDead) throw new Crash();
    const tx = new MemoryTransaction(database, process, mode);
    try {
      const result = await work(tx);
      // Of what only reads, a COMMIT says nothing.
      if (mode === "repeatable read, read only") tx.commit(op);
      else {
        await database.scheduler.call(
          process,
          "commit",
          () => tx.commit(op),
          (isLost) => (isLost ? lostCommit(connectionLost(op), op) : connectionLost(op)),
          () => (tx.isCommitting = true),
        );
      }
      return result;
    } catch (error) {
      // A COMMIT that is on its way is nobody's to take back.
      if (!tx.isCommitting) tx.abort("57P01", "the transaction is over");
      if (error instanceof Crash) throw error;
      throw databaseError(error, op);
    }
  }

  async query(text: string, values: readonly unknown[] = [], op = "query"): Promise<QueryResult> {
    return await this.transaction("read write", op, async (tx) => await tx.query(text, values, op));
  }
}

export class MemoryTransaction implements Access {
  readonly process: Process;
  readonly mode: TransactionMode;
  readonly startedAt: bigint;
  /** When it was last heard of. */
  lastMs: number;
  isWaiting = false;
  /** The server has been told to commit, and will, whoever is gone by then. */
  isCommitting = false;
  /** Null: the row is gone. */
  writes: ReadonlyMap<string, ReadonlyMap<bigint, Row | null>> = new Map();
  readonly #database: MemoryDatabase;
  readonly #locks = new Map<string, Set<LockMode>>();
  #snapshot: State | null = null;
  #waitsFor: readonly MemoryTransaction[] = [];
  /** Why nothing more can be done in it. */
  #over: { readonly code: string; readonly message: string } | null = null;

  constructor(database: MemoryDatabase, process: Process, mode: TransactionMode) {
    this.#database = database;
    this.process = process;
    this.mode = mode;
    this.startedAt = BigInt(Math.trunc(database.now)) * 1000n;
    this.lastMs = database.now;
    database.begin(this);
  }

  get #isSnapshot(): boolean {
    return this.mode !== "read write";
  }

  async query(text: string, values: readonly unknown[] = [], op = "query"): Promise<QueryResult> {
    const { rows, rowCount, columns } = await this.#execute("statement", text, values, op);
    return { rows: handOutRows(rows, columns), rowCount };
  }

  async *copy(text: string, op: string, take: Take): AsyncGenerator<void, void, undefined> {
    const outcome = await this.#execute("statement", text, [], op);
    for (const bytes of copyBinary(outcome, COPY_ROWS_A_TURN)) {
      await this.#call("rows", op, () => this.#alive());
      if (take(bytes, 0, bytes.length)) yield;
    }
  }

  commit(op: string): void {
    this.#alive();
    this.#database.commit(this, op);
    this.#over = { code: "25P02", message: "the transaction is committed" };
  }

  abort(code: string, message: string): void {
    this.#over ??= { code, message };
    this.#database.end(this);
  }

  holds(key: string, mode: LockMode): boolean {
    return (
      this.#locks.get(key) !== undefined && CONFLICTS[mode].some((other) => this.#locks.get(key)?.has(other))
    );
  }

  async #call<T>(call: "statement" | "rows", op: string, effect: () => T): Promise<T> {
    const { scheduler } = this.#database;
    try {
      return await scheduler.call(this.process, call, effect, () => {
        this.abort("57P01", "the connection is lost");
        return connectionLost(op);
      });
    } catch (error) {
      if (error instanceof Crash || error instanceof MustWait) throw error;
      throw databaseError(error, op);
    }
  }

  #alive(): void {
    if (this.#over !== null) throw new SqlError(this.#over.code, this.#over.message);
    this.lastMs = this.#database.now;
  }

  async #execute(call: "statement", text: string, values: readonly unknown[], op: string): Promise<Outcome> {
    const { scheduler, lockTimeoutMs } = this.#database;
    for (let isFirst = true; ; isFirst = false) {
      try {
        const effect = (): Outcome => this.#run(text, values);
        return isFirst ? await this.#call(call, op, effect) : effect();
      } catch (error) {
        if (!(error instanceof MustWait)) throw databaseError(error, op);
        const until = scheduler.now + lockTimeoutMs;
        const { key, mode } = error;
        this.#refuseDeadlock(key, mode, op);
        this.isWaiting = true;
        const isFree = await scheduler.wait(
          this.process,
          () => this.#over !== null || this.#database.holders(this, key, mode).length === 0,
          until,
        );
        this.isWaiting = false;
        this.#waitsFor = [];
        if (!isFree) this.abort("55P03", "canceling statement due to lock timeout");
      }
    }
  }

  #refuseDeadlock(key: string, mode: LockMode, op: string): void {
    this.#waitsFor = this.#database.holders(this, key, mode);
    const reach = (tx: MemoryTransaction, seen: Set<MemoryTransaction>): boolean =>
      tx.#waitsFor.some((next) => next === this || (!seen.has(next) && reach(next, seen.add(next))));
    if (!reach(this, new Set())) return;
    this.#waitsFor = [];
    this.abort("40P01", "deadlock detected");
    throw databaseError(new SqlError("40P01", "deadlock detected"), op);
  }

  #run(text: string, values: readonly unknown[]): Outcome {
    this.#alive();
    const before = this.writes;
    try {
      const canned = answerOfServer(text);
      if (canned !== null) return canned;
      const executable = this.#database.statements.prepare(text);
      // LOCK TABLE takes no snapshot.
      if (executable.statement.k !== "lock" && this.#isSnapshot) this.#snapshot ??= this.#database.state;
      return executable.run(this, values);
    } catch (error) {
      this.writes = before;
      if (!(error instanceof MustWait) && error instanceof SqlError) this.abort(error.code, error.message);
      throw error;
    }
  }

  // What a statement asks for.

  get clock(): bigint {
    return BigInt(Math.trunc(this.#database.now)) * 1000n;
  }

  nextval(sequence: string): bigint {
    return this.#database.nextval(sequence);
  }

  uuid(): string {
    return this.#database.chance.uuid();
  }

  get #base(): State {
    return this.#snapshot ?? this.#database.state;
  }

  has(table: string): boolean {
    return this.#base.has(table);
  }

  rows(table: string): readonly Row[] {
    const committed = this.#base.get(table);
    if (committed === undefined) throw new SqlError("42P01", `relation "${table}" does not exist`);
    let rows = rowsOfTable.get(committed);
    if (rows === undefined) rowsOfTable.set(committed, (rows = [...committed.values()]));
    const mine = this.writes.get(table);
    if (mine === undefined) return rows;
    const own = [...mine.values()].filter((row) => row !== null);
    return [...rows.filter((row) => !mine.has(row["ctid"] as bigint)), ...own];
  }

  insert(table: string, row: Row): Row {
    const placed = { ...row, ctid: this.#database.nextPlace(), tableoid: oidOf(table) };
    this.#write(table, placed.ctid, placed);
    return placed;
  }

  replace(table: string, before: Row, after: Row): Row {
    this.#requireLatest(table, before);
    const place = before["ctid"] as bigint;
    if (!HEAPS.has(table)) {
      this.#write(table, place, after);
      return after;
    }
    this.#write(table, place, null);
    return this.insert(table, after);
  }

  remove(table: string, row: Row): void {
    this.#requireLatest(table, row);
    this.#write(table, row["ctid"] as bigint, null);
  }

  lock(table: string, row: Row, mode: LockMode, skip: boolean): boolean {
    this.#requireLatest(table, row);
    return this.#take(`${table} ${String(row["ctid"])}`, mode, skip);
  }

  claim(key: string): void {
    this.#take(key, "update", false);
  }

  #take(key: string, mode: LockMode, skip: boolean): boolean {
    if (this.#database.holders(this, key, mode).length > 0) {
      if (skip) return false;
      throw new MustWait(key, mode);
    }
    const mine = this.#locks.get(key) ?? new Set();
    this.#locks.set(key, mine.add(mode));
    return true;
  }

  /** In a snapshot, what somebody changed since cannot be changed. */
  #requireLatest(table: string, row: Row): void {
    if (!this.#isSnapshot) return;
    const place = row["ctid"] as bigint;
    if (this.writes.get(table)?.has(place) === true) return;
    if (this.#database.state.get(table)?.get(place) !== row)
      throw new SqlError("40001", "could not serialize access due to concurrent update");
  }

  #write(table: string, place: bigint, row: Row | null): void {
    if (this.mode === "repeatable read, read only")
      throw new SqlError("25006", "cannot execute a write in a read-only transaction");
    const mine = new Map(this.writes.get(table));
    mine.set(place, row);
    this.writes = new Map(this.writes).set(table, mine);
  }
}
