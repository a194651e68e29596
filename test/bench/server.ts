/** The benchmark's Postgres: durable, without work of its own that would fall on one case by chance. */
import { readFileSync } from "node:fs";
import pg from "pg";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { fillDatabase, LAYOUTS, type LayoutName, prewarm, type Shape } from "./data.ts";
import { childProcesses, processCpuSeconds } from "./process-usage.ts";

const SETTINGS = {
  shared_buffers: "1GB",
  max_wal_size: "16GB",
  // Checkpoints are asked for, before each case; vacuum is part of the templates.
  checkpoint_timeout: "1h",
  autovacuum: "off",
  timezone: "UTC",
} as const;

export class BenchServer implements AsyncDisposable {
  readonly #postgres: EmbeddedPostgres;
  readonly #shape: Shape;
  readonly #templates = new Map<string, Promise<void>>();
  #copies = 0;

  private constructor(postgres: EmbeddedPostgres, shape: Shape) {
    this.#postgres = postgres;
    this.#shape = shape;
  }

  static async start(shape: Shape): Promise<BenchServer> {
    return new BenchServer(await startEmbeddedPostgres({ durable: true, settings: SETTINGS }), shape);
  }

  url(database: string): string {
    return this.#postgres.url(database);
  }

  /** CPU time of the postmaster, of all backends that it has waited for, and of those that live. Null without /proc. */
  cpuSeconds(): number | null {
    const { pid } = this.#postgres;
    const own = processCpuSeconds(pid);
    if (own === null) return null;
    const backends = childProcesses(pid).map((child) => processCpuSeconds(child)?.own ?? 0);
    return own.own + own.waitedFor + backends.reduce((sum, one) => sum + one, 0);
  }

  /** A database of its own for one measurement, its pages clean and in memory. Dropped at the end of `await using`. */
  async copy(name: LayoutName, rows: number): Promise<Copy> {
    const template = `template_${name}_${rows}`;
    let filled = this.#templates.get(template);
    if (filled === undefined) this.#templates.set(template, (filled = this.#fill(template, name, rows)));
    await filled;
    this.#copies += 1;
    const copy = `copy_${this.#copies}`;
    await this.admin(`CREATE DATABASE ${copy} TEMPLATE ${template} STRATEGY FILE_COPY`);
    return {
      url: this.url(copy),
      [Symbol.asyncDispose]: () => this.admin(`DROP DATABASE ${copy} WITH (FORCE)`),
    };
  }

  /** Writes down what is dirty and reads the table into memory: right before a measurement. */
  async settle(url: string): Promise<void> {
    await withClient(url, async (client) => {
      await client.query("CHECKPOINT");
      await prewarm(client);
    });
  }

  async admin(statement: string): Promise<void> {
    await withClient(this.url("postgres"), async (client) => void (await client.query(statement)));
  }

  /** The end of the server's log, for a case that failed. */
  logTail(): string {
    return readFileSync(this.#postgres.logFile, "utf8").slice(-2_000);
  }

  async #fill(template: string, name: LayoutName, rows: number): Promise<void> {
    await this.admin(`CREATE DATABASE ${template}`);
    await withClient(
      this.url(template),
      async (client) => await fillDatabase(client, this.#shape, LAYOUTS[name], rows),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#postgres[Symbol.asyncDispose]();
  }
}

export interface Copy extends AsyncDisposable {
  readonly url: string;
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {}); // told by the query that it fails
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
