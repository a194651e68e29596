/** What a line of the matrix works with: scenarios, servers, and what follows each fault. */
import { createHash } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../../src/demo/embedded-postgres.ts";
import { reachableTemporaryFolder, serverIdentity } from "../../../src/demo/postgres-binaries.ts";
import { archiveContents } from "../../support/archive-damage.ts";
import { memoryFolder } from "../../support/broker.ts";
import {
  expectNothingLost,
  expectRetrievalComplete,
  minus,
  type Journaled,
  type OracleOptions,
  readJournal,
  readRows,
} from "../../support/oracle.ts";
import { mirrorBucket } from "../../support/s3-mirror.ts";
import { clientOf, type S3Server, s3Server, type S3ServerName } from "../../support/s3-server.ts";
import { AS_OF, at, Scenario, type ScenarioOptions } from "../../support/scenario.ts";
import { expectVerified } from "../../support/verified.ts";
import { expectNoDanglingReference, expectVerifiedFirst } from "./references.ts";
import { type FaultBench, NotToBeHad, type Rerun, type SettleOptions } from "./line.ts";
import { expectSame, runOf } from "./reruns.ts";

/** Where archives are that no line wants elsewhere. */
export type ArchiveKind = "folder" | "s3";

const UNCHANGED: { readonly gone: readonly string[]; readonly came: readonly string[] } = {
  gone: [],
  came: [],
};

export class Bench implements FaultBench, AsyncDisposable {
  readonly #archive: ArchiveKind;
  readonly #kept = new AsyncDisposableStack();

  constructor(archive: ArchiveKind) {
    this.#archive = archive;
  }

  async scenario(options: ScenarioOptions = {}): Promise<Scenario> {
    return this.keep(await Scenario.create(await this.#placed(options)));
  }

  async scenarioOn(server: EmbeddedPostgres, options: ScenarioOptions = {}): Promise<Scenario> {
    const url = at(server.url(), "postgres");
    // Nothing to dispose of: the database goes with its server.
    const database = { url, name: "postgres", [Symbol.asyncDispose]: async () => {} };
    const scenario = this.keep(await Scenario.on(database, await this.#placed(options)));
    await scenario.prepare();
    return scenario;
  }

  elsewhere(scenario: Scenario, url: string): Scenario {
    const other = Scenario.elsewhere(scenario, url);
    this.keep({ [Symbol.asyncDispose]: async () => await other.disconnect() });
    return other;
  }

  async postgres(settings: Readonly<Record<string, string>> = {}): Promise<EmbeddedPostgres> {
    return this.keep(await startEmbeddedPostgres({ durable: true, settings, ...(await memoryFolder()) }));
  }

  async folder(): Promise<string> {
    const above =
      (await memoryFolder()).temporaryFolder ?? (await reachableTemporaryFolder(serverIdentity()));
    const folder = await mkdtemp(join(above, "firnline-faults-"));
    await chmod(folder, 0o755);
    this.keep({
      [Symbol.asyncDispose]: async () => await rm(folder, { recursive: true, force: true, maxRetries: 5 }),
    });
    return folder;
  }

  keep<T extends AsyncDisposable>(resource: T): T {
    return this.#kept.use(resource);
  }

  async s3(name: S3ServerName): Promise<S3Server> {
    try {
      return await s3Server(name);
    } catch (error) {
      throw new NotToBeHad((error as Error).message);
    }
  }

  async oracle(scenario: Scenario, options: OracleOptions = {}): Promise<void> {
    await this.#mirror(scenario);
    await expectNoDanglingReference(scenario);
    await expectVerifiedFirst(scenario);
    await expectNothingLost(scenario, options);
  }

  async journal(scenario: Scenario): Promise<Journaled[]> {
    await this.#mirror(scenario);
    return await readJournal(scenario);
  }

  async settle(scenario: Scenario, options: SettleOptions = {}): Promise<Rerun> {
    if (options.isRestored === true) await expectRetrievalComplete(scenario, options);
    else await this.oracle(scenario, options);
    const rerun = await runOf(scenario, options);
    await this.oracle(scenario, options);
    await expectVerified(scenario);
    await this.#expectNothingToDo(scenario, options);
    return rerun;
  }

  async unchanged<T>(scenario: Scenario, work: () => Promise<T>): Promise<T> {
    const before = await this.#state(scenario);
    const result = await work();
    expectSame(await this.#since(scenario, before), UNCHANGED, "nothing changes");
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kept.disposeAsync();
  }

  /** I7, to the last file: a run of nothing leaves an entry that says that it was there. */
  async #expectNothingToDo(scenario: Scenario, options: SettleOptions): Promise<void> {
    const before = await this.#state(scenario);
    const journaled = (await readJournal(scenario)).length;
    const pending = await scenario.query("SELECT event ->> 'type' AS type FROM firnline.outbox ORDER BY id");
    const rerun = await runOf(scenario, { ...options, asOf: options.asOf ?? AS_OF });
    expectSame(rerun, { exported: 0, pruned: 0, deleted: 0, cooled: 0, replaced: 0, steps: 0 }, "no step");
    const { gone, came } = await this.#since(scenario, before);
    const entries = (await readJournal(scenario)).slice(journaled).map(({ event }) => event.type);
    // What earlier retrievals left to be journaled is journaled by whoever runs next.
    expectSame(entries, [...pending.map(({ type }) => type), "run-started"], "no entry but its own");
    const besides = came.filter((line) => !line.startsWith("file _firnline/audit_logs/journal/"));
    expectSame({ gone, came: besides }, UNCHANGED, "the run after the rerun changes nothing");
    expectSame(came.length, entries.length, "no object but the entries");
  }

  /** What is not as it was at `before`, and what is now. */
  async #since(scenario: Scenario, before: readonly string[]): Promise<typeof UNCHANGED> {
    const after = await this.#state(scenario);
    return { gone: minus(before, after), came: minus(after, before) };
  }

  /** Rows of the table, segments and chunks of the catalog, and files of the archive, a line each. */
  async #state(scenario: Scenario): Promise<string[]> {
    await this.#mirror(scenario);
    const lines = (await readRows(scenario, scenario.table)).map((row) => `row ${row}`);
    for (const table of ["segment", "chunk", "draft"]) {
      const found = await scenario.query(`SELECT to_jsonb(one)::text AS row FROM firnline.${table} one`);
      lines.push(...found.map(({ row }) => `${table} ${row}`));
    }
    for (const [path, content] of Object.entries(await archiveContents(scenario))) {
      const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
      lines.push(`file ${relative(scenario.archive, path)} ${hash}`);
    }
    return lines;
  }

  async #mirror(scenario: Scenario): Promise<void> {
    if (scenario.bucket === null) return;
    const { server, bucket, prefix = "firnline" } = scenario.bucket;
    const client = clientOf(await this.s3(server.name));
    try {
      await mirrorBucket(client, bucket, scenario.archive, prefix === "" ? "" : `${prefix}/`);
    } finally {
      client.destroy();
    }
  }

  async #placed(options: ScenarioOptions): Promise<ScenarioOptions> {
    if (this.#archive === "folder" || options.archive !== undefined) return options;
    const server = await this.s3("ceph");
    return { ...options, archive: { server, bucket: await server.newBucket({ versioned: true }) } };
  }
}
