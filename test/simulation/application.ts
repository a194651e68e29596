/** The application: its statements, on the rows as they are when their turn comes. */
import { TABLE } from "../model/terms.ts";
import type { MemorySession, MemoryTransaction } from "./database.ts";
import { parseLine } from "./rows.ts";
import type { Scheduler, Process } from "./scheduler.ts";
import type { Actor, Write } from "./steps.ts";

const MICROS_A_DAY = 86_400_000_000n;

export interface View {
  /** The last day that is due. */
  readonly day: number;
  /** Rows of the table, oldest first. */
  readonly hot: readonly string[];
  /** Of the archive, oldest first. */
  readonly archived: readonly string[];
}

export class Application {
  #id = 0n;
  #notes = 0;
  readonly #deleted: string[] = [];
  readonly #view: () => View;

  constructor(view: () => View) {
    this.#view = view;
  }

  async act(
    session: MemorySession,
    scheduler: Scheduler,
    process: Process,
    { writes, isOne }: Pick<Extract<Actor, { who: "application" }>, "writes" | "isOne">,
  ): Promise<void> {
    const each = async (tx: MemoryTransaction, at: number): Promise<void> => {
      const one = writes[at];
      if (one === undefined) return;
      for (let turn = 0; turn < one.after; turn += 1) await scheduler.turn(process);
      await this.#write(tx, one.write);
    };
    const together = isOne ? [writes.map((_, at) => at)] : writes.map((_, at) => [at]);
    for (const places of together) {
      // What is refused, by a lock or another's row, the application leaves.
      await session
        .transaction("read write", "application", async (tx) => {
          for (const at of places) await each(tx, at);
        })
        .catch((error: unknown) => {
          if (process.isDead) throw error;
        });
    }
  }

  async #write(tx: MemoryTransaction, write: Write): Promise<void> {
    const { day, hot, archived } = this.#view();
    const instant = (days: number, spot: string): string => {
      const micros = BigInt(days) * MICROS_A_DAY + BigInt(spot);
      const text = new Date(Number(micros / 1000n)).toISOString().slice(0, -1);
      return `${text}${String(micros % 1000n).padStart(3, "0")}Z`;
    };
    const insert = async (
      id: string,
      at: string,
      action: string,
      note: string | null,
      amount: string | null,
    ) => {
      await tx.query(
        `INSERT INTO ${TABLE} (id, ts, action, note, amount) VALUES ($1, $2, $3, $4, $5)`,
        [id, at, action, note, amount],
        "insert",
      );
    };
    const fresh = (): string => String((this.#id += 1n));
    const picked = (pick: number, rows: number): string[] =>
      hot.length === 0
        ? []
        : Array.from({ length: rows }, (_, at) => parseLine(hot[(pick + at) % hot.length] as string).id);
    const change = async (ids: readonly string[], set: string, ...values: unknown[]): Promise<void> => {
      await tx.query(`UPDATE ${TABLE} SET ${set} WHERE id = ANY ($1::bigint[])`, [ids, ...values], "update");
    };
    switch (write.do) {
      case "insert":
        for (let n = 0; n < write.rows; n += 1) {
          const id = fresh();
          const note = n % 3 === 2 ? null : `note ${id}`;
          await insert(id, instant(day + write.day, write.spot), write.action, note, n % 2 === 0 ? id : null);
        }
        return;
      case "insert late": {
        const of = archived[write.nth % Math.max(1, archived.length)];
        if (of === undefined) return;
        const days = Number(parseLine(of).ts / MICROS_A_DAY);
        return await insert(fresh(), instant(days, write.spot), write.action, "late", null);
      }
      case "update":
        this.#notes += 1;
        return await (write.column === "note"
          ? change(picked(write.pick, write.rows), "note = $2", `changed ${this.#notes}`)
          : change(picked(write.pick, write.rows), "amount = $2", String(this.#notes)));
      case "delete": {
        const ids = picked(write.pick, write.rows);
        this.#deleted.push(...ids);
        await tx.query(`DELETE FROM ${TABLE} WHERE id = ANY ($1::bigint[])`, [ids], "delete");
        return;
      }
      case "change key":
        return await change(picked(write.pick, 1), "id = $2", fresh());
      case "move to rule":
        return await change(picked(write.pick, 1), "action = $2", write.action);
      case "move to day":
        return await change(picked(write.pick, 1), "ts = $2", instant(day + write.day, write.spot));
      case "use key again": {
        // A key that was deleted lives on in tombstones.
        const dead = write.isSame ? undefined : this.#deleted[write.nth % Math.max(1, this.#deleted.length)];
        if (dead !== undefined) return await insert(dead, instant(day, "1"), "login", "used again", null);
        const line = archived[write.nth % Math.max(1, archived.length)];
        if (line === undefined) return;
        const { id, ts, action, note, amount } = parseLine(line);
        const days = Number(ts / MICROS_A_DAY);
        const at = instant(days, String(ts % MICROS_A_DAY));
        return await insert(id, at, action, write.isSame ? note : "used again", amount);
      }
    }
  }
}
