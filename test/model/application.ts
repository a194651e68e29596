/**
 * The application: it writes its table as it pleases, and tells the model what it did by what its own statements
 * returned. A row that is not in the table any more it can't change.
 */
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { Lane } from "./lane.ts";
import { Bag, lineOf, type Row } from "./rows.ts";
import { detachedLeaves } from "./sight.ts";
import { TableShape } from "./table-shape.ts";
import { TABLE } from "./terms.ts";
import type { Write } from "./writes.ts";

/** What the application sees, or once saw. */
export interface View {
  /** Rows of the table, oldest first. */
  readonly hot: readonly Row[];
  /** Rows that have left it into the archive, oldest first. */
  readonly archived: readonly Row[];
  /** The last day that is due, in days since 1970: writes count from here. */
  readonly day: number;
}

interface Change {
  readonly removed: readonly Row[];
  readonly added: readonly Row[];
}

const DAY_MS = 86_400_000;
/** A leaf of a partitioned table is made when its first row comes. */
const LEAF_DAYS = 2;
const ATTEMPTS_MAX = 5;
const NO_PARTITION = "23514";
const OVERLAP = "42P17";
/** Deadlock, a row that moved to another leaf meanwhile, a key that is taken. */
const GIVEN_UP: ReadonlySet<string> = new Set(["40P01", "40001", "23505"]);

export class Application {
  /** Every row that was committed and not removed by the application. */
  readonly rows = new Bag();
  /** Keys of rows that it deleted, or that went somewhere else: another day, another rule, another key. */
  readonly keysGone = new Set<unknown>();
  readonly #client: pg.Client;
  readonly #onlooker: pg.Client;
  readonly #processId: number;
  readonly #shape = new TableShape();
  readonly #isPartitioned: boolean;
  #leaves = 0;
  #keys = 0;
  #contents = 0;
  #waiting: Promise<void>[] = [];

  constructor(lane: Lane, isPartitioned: boolean) {
    this.#isPartitioned = isPartitioned;
    this.#client = lane.application;
    this.#onlooker = lane.onlooker;
    this.#processId = (lane.application as unknown as { processID: number }).processID;
  }

  /** Whether a write waits for a lock. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Writes, or begins to: a write that has to wait for a lock is left behind, until somebody calls `settled`. */
  async write(write: Write, view: View): Promise<void> {
    let isDone = false;
    // One after another: they share a session, and the one before may wait for a lock.
    const before = Promise.all(this.#waiting);
    const writing = before.then(async () => await this.#commit(write, view)).finally(() => (isDone = true));
    this.#waiting.push(writing);
    writing.catch(() => {});
    do await Promise.race([writing, delay(3)]);
    while (!isDone && !(await this.#isBlocked()));
    if (isDone) await this.settled();
  }

  async settled(): Promise<void> {
    const waiting = this.#waiting;
    await Promise.all(waiting);
    this.#waiting = this.#waiting.filter((one) => !waiting.includes(one));
  }

  async #isBlocked(): Promise<boolean> {
    const { rows } = await this.#onlooker.query<{ blocked: boolean }>(
      "SELECT cardinality(pg_blocking_pids($1)) > 0 AS blocked",
      [this.#processId],
    );
    return rows[0]?.blocked === true;
  }

  async #commit(write: Write, view: View): Promise<void> {
    let changes: Change[] = [];
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      await this.#client.query("BEGIN");
      try {
        changes = await this.#statements(write, view);
        await this.#client.query("COMMIT");
        break;
      } catch (error) {
        await this.#client.query("ROLLBACK");
        changes = [];
        if (!(await this.#mayTryAgain(error as pg.DatabaseError))) break;
      }
    }
    this.#remember(changes);
  }

  /** False: the application gives up. Anything else than what applications live with is thrown. */
  async #mayTryAgain(error: pg.DatabaseError): Promise<boolean> {
    if (GIVEN_UP.has(error.code ?? "")) return false;
    const day = /\(ts\) = \((\d{4}-\d\d-\d\d)/.exec(error.detail ?? "")?.[1];
    if (error.code !== NO_PARTITION || day === undefined) throw error;
    const first = Math.floor(Date.parse(`${day}T00:00Z`) / DAY_MS / LEAF_DAYS) * LEAF_DAYS;
    const [from, to] = [first, first + LEAF_DAYS].map((one) => `'${timeOf(one, "00:00:00")}'`);
    this.#leaves += 1;
    const leaf = `public.events_${this.#leaves}`;
    try {
      await this.#client.query(
        `CREATE TABLE ${leaf} PARTITION OF ${TABLE} FOR VALUES FROM (${from}) TO (${to})`,
      );
      return true;
    } catch (overlapping) {
      // The leaf of these days is on its way out, and still in the way.
      if ((overlapping as pg.DatabaseError).code === OVERLAP) return false;
      throw overlapping;
    }
  }

  #remember(changes: readonly Change[]): void {
    for (const { removed, added } of changes) {
      for (const row of removed) {
        if (!this.rows.remove(lineOf(row)))
          throw new Error(`the table had a row that nobody wrote: ${lineOf(row)}`);
      }
      for (const row of added) this.rows.add(lineOf(row));
      const places = new Set(added.map(placeOf));
      for (const row of removed) if (!places.has(placeOf(row))) this.keysGone.add(row["id"]);
    }
  }

  async #statements(write: Write, view: View): Promise<Change[]> {
    switch (write.do) {
      case "insert":
        return [await this.#insert(this.#newRows(write, view.day + write.day))];
      case "insert late":
        return [await this.#insert(this.#newRows(write, dayOfArchived(view, write.nth)))];
      case "update":
        return [await this.#update(picked(view, write), this.#assignment(write.column))];
      case "move to rule":
        return [await this.#update(picked(view, write), `action = '${write.action}'`)];
      case "move to day":
        return [
          await this.#update(picked(view, write), `ts = '${timeOf(view.day + write.day, write.spot)}'`),
        ];
      case "change key":
        return [await this.#update(picked(view, write), `id = ${this.#newKey()}`)];
      case "delete":
        return [await this.#delete(picked(view, write))];
      case "replace": {
        const rows = picked(view, write);
        const deleted = await this.#delete(rows);
        const again = rows.filter(({ id }) => deleted.removed.some((row) => row["id"] === id));
        return [deleted, await this.#insert(again.map((row) => this.#rewritten(row)))];
      }
      case "use key again": {
        const row = view.archived[write.nth % view.archived.length];
        if (row === undefined) return [];
        return [await this.#insert([write.isSame ? this.#shape.possible(row) : this.#rewritten(row)])];
      }
      case "change schema":
        return [await this.#changeSchema(this.#shape.change(write.change))];
    }
  }

  #newRows({ rows, spot, action }: { rows: number; spot: string; action: string }, day: number): Row[] {
    return Array.from({ length: rows }, () => ({
      id: this.#newKey(),
      ts: timeOf(day, spot),
      action,
      level: this.#shape.label(this.#keys),
      amount: this.#keys % 3 === 0 ? null : this.#keys,
      [this.#shape.note]: this.#newContent(),
    }));
  }

  #rewritten(row: Row): Row {
    return { ...this.#shape.possible(row), [this.#shape.note]: this.#newContent() };
  }

  #assignment(column: "level" | "amount" | "note" | "tag"): string {
    const text = this.#newContent();
    if (column === "level")
      return `level = CASE level WHEN '${this.#shape.label(0)}' THEN '${this.#shape.label(1)}' ELSE '${this.#shape.label(0)}' END::public.level`;
    if (column === "amount") return "amount = coalesce(amount, 0) + 1";
    return `${column === "note" ? this.#shape.note : this.#shape.tag} = '${text}'`;
  }

  #newKey(): number {
    this.#keys += 1;
    return this.#keys;
  }

  #newContent(): string {
    this.#contents += 1;
    return `c${this.#contents}`;
  }

  async #insert(rows: readonly Row[]): Promise<Change> {
    const added = await this.#query(
      `INSERT INTO ${TABLE} AS t SELECT * FROM jsonb_populate_recordset(NULL::${TABLE}, $1)
       ON CONFLICT DO NOTHING RETURNING to_jsonb(t) AS row`,
      [JSON.stringify(rows)],
    );
    return { removed: [], added: added.map(({ row }) => row) };
  }

  async #update(rows: readonly Row[], assignment: string): Promise<Change> {
    const changed = await this.#query(
      `WITH before AS MATERIALIZED (
         SELECT t.id AS old_id, t.ts AS old_ts, to_jsonb(t) AS old_row
         FROM ${TABLE} t WHERE t.id = ANY ($1) ORDER BY t.id, t.ts FOR UPDATE)
       UPDATE ${TABLE} t SET ${assignment} FROM before WHERE t.id = old_id AND t.ts = old_ts
       RETURNING to_jsonb(t) AS row, old_row`,
      [rows.map(({ id }) => id)],
    );
    return { removed: changed.map(({ old_row: row }) => row as Row), added: changed.map(({ row }) => row) };
  }

  async #delete(rows: readonly Row[]): Promise<Change> {
    const removed = await this.#query(
      `DELETE FROM ${TABLE} t WHERE id = ANY ($1) RETURNING to_jsonb(t) AS row`,
      [rows.map(({ id }) => id)],
    );
    return { removed: removed.map(({ row }) => row), added: [] };
  }

  /** What a change of the definition does to rows is a change of the rows that the table has then, and of no others. */
  async #changeSchema(ddl: string): Promise<Change> {
    await this.#client.query(`LOCK TABLE ${TABLE} IN ACCESS EXCLUSIVE MODE`);
    // A leaf that was detached keeps its columns, but an enum's labels are of no table.
    const leaves = this.#isPartitioned ? await detachedLeaves(this.#client) : [];
    const all = [TABLE, ...leaves.map((leaf) => `ONLY ${leaf}`)]
      .map((table) => `SELECT to_jsonb(t) AS row FROM ${table} t`)
      .join(" UNION ALL ");
    const removed = await this.#query(all);
    await this.#client.query(ddl);
    const added = await this.#query(all);
    return { removed: removed.map(({ row }) => row), added: added.map(({ row }) => row) };
  }

  async #query(text: string, values: unknown[] = []): Promise<{ row: Row; old_row?: Row }[]> {
    return (await this.#client.query<{ row: Row; old_row?: Row }>(text, values)).rows;
  }
}

const placeOf = ({ id, ts, action }: Row): string => JSON.stringify([id, ts, action]);

function picked({ hot }: View, { pick, rows = 1 }: { pick: number; rows?: number }): Row[] {
  const from = hot.length === 0 ? 0 : pick % hot.length;
  return hot.slice(from, from + rows);
}

function dayOfArchived({ archived, day }: View, nth: number): number {
  const days = [...new Set(archived.map(({ ts }) => String(ts).slice(0, 10)))];
  const found = days[nth % days.length];
  return found === undefined ? day - 1 : Date.parse(`${found}T00:00Z`) / DAY_MS;
}

const timeOf = (day: number, spot: string): string =>
  `${new Date(day * DAY_MS).toISOString().slice(0, 10)} ${spot}+00`;
