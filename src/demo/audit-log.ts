/** The demo's table: believable audit events, a second copy of them as the truth, and the comparison at the end. */
import { createReadStream, readFileSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { addDays, type DayUtc, formatDay } from "../rows/day.ts";

const sql = (name: string): string => readFileSync(new URL(`./sql/${name}`, import.meta.url), "utf8");

export interface Comparison {
  readonly inserted: bigint;
  /** Rows of the truth that the answer lacks. */
  readonly lost: bigint;
  /** Rows of the answer that the truth lacks, or has fewer times. */
  readonly duplicated: bigint;
}

export class AuditLog implements AsyncDisposable {
  readonly #client: pg.Client;
  #nextId = 1n;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async create(url: string): Promise<AuditLog> {
    const client = new pg.Client({ connectionString: url, application_name: "firnline demo" });
    // The server may be ended first, by Ctrl-C.
    client.on("error", () => {});
    await client.connect();
    await client.query(sql("table.sql"));
    return new AuditLog(client);
  }

  /** Inserts `rows` events of one UTC day, spread over it. */
  async insertDay(day: DayUtc, rows: number): Promise<void> {
    await this.#client.query(sql("day-of-rows.sql"), [formatDay(day), this.#nextId.toString(), rows]);
    this.#nextId += BigInt(rows);
  }

  /** Spreads `rows` over `days` days; a remainder goes to the first ones. */
  async insertDays(
    first: DayUtc,
    days: number,
    rows: number,
    signal: AbortSignal,
    tell: (inserted: number) => void,
  ): Promise<void> {
    let inserted = 0;
    for (let index = 0; index < days && !signal.aborted; index += 1) {
      const today = Math.floor(rows / days) + (index < rows % days ? 1 : 0);
      await this.insertDay(addDays(first, index), today);
      inserted += today;
      tell(inserted);
    }
    await this.#client.query("ANALYZE public.audit_logs");
  }

  /** Loads the answer beside the truth and lets Postgres compare the two, row by row. */
  async compare(answer: string): Promise<Comparison> {
    await this.#client.query("TRUNCATE demo.answer");
    // A quote and a delimiter that no JSON line contains: each line is one value, as it is.
    const copy = this.#client.query(
      copyFrom(`COPY demo.answer FROM STDIN WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')`),
    );
    await pipeline(createReadStream(answer), copy);
    const { rows } = await this.#client.query(sql("compare.sql"));
    const row = rows[0] as Record<keyof Comparison, string>;
    return { inserted: BigInt(row.inserted), lost: BigInt(row.lost), duplicated: BigInt(row.duplicated) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}
