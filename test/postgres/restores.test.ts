/** Restores of cold segments: agreed to before anything is spent, recorded before the store is touched, never paid twice. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Archive } from "../../src/archive/port.ts";
import { FirnlineError } from "../../src/errors.ts";
import type { PriceList } from "../../src/plan/cost.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { readPrices } from "../../src/price-file.ts";
import { rehydrateRange } from "../../src/retrieve/rehydrate.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RestoreQuote, RestoreTerms } from "../../src/retrieve/restore-quote.ts";
import { retrieveRange, type RetrieveResult } from "../../src/retrieve/retrieve-range.ts";
import type { Clock } from "../../src/environment.ts";
import type { Wired } from "../../src/wiring.ts";
import {
  COLD_DAYS,
  coldHeads,
  createColdDays,
  DOLLAR,
  JumpingClock,
  restoredEntries,
  restoreRows,
  wired,
  writePrices,
} from "../support/cold-days.ts";
import { moved, NOTHING, type Scenario } from "../support/scenario.ts";

let folder: string;
let prices: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "firnline-prices-"));
  prices = await writePrices(folder);
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

const RANGE = parseRange("2025-12-01", "2026-02-28");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface Asking {
  readonly environ?: Record<string, string>;
  readonly clock?: Clock;
  readonly by?: string;
  /** Changes how the archive behaves. */
  readonly archive?: (archive: Archive) => Archive;
}

async function retrieve(
  scenario: Scenario,
  terms: RestoreTerms = {},
  { environ = prices, clock, by = "alice", archive = (same) => same }: Asking = {},
): Promise<RetrieveResult> {
  await using own = wired(scenario, environ, clock);
  const environment = { ...own.environment, archive: archive(own.environment.archive) };
  return await retrieveRange(environment, {
    request: RANGE,
    requestedBy: by,
    prices: await pricesOf(environ),
    terms,
    out: join(scenario.folder, `answer-${Math.random()}.ndjson`),
    format: "ndjson",
    temporary: scenario.folder,
    signal: new AbortController().signal,
  });
}

const pricesOf = async ({ FIRNLINE_PRICES: file }: Record<string, string>): Promise<PriceList | null> =>
  file === undefined ? null : await readPrices(file);

async function accesses(scenario: Scenario, clock?: Clock): Promise<string[]> {
  await using own = wired(scenario, {}, clock);
  return (await coldHeads(own)).map(({ access, storageClass }) => `${storageClass} ${access.state}`);
}

const ARCHIVED = COLD_DAYS.map(() => "DEEP_ARCHIVE archived");
const READABLE = COLD_DAYS.map(() => "DEEP_ARCHIVE readable");
const SLOW = { FIRNLINE_FILE_RESTORE_DELAY_MS: "300" };

async function expectNothingAsked(scenario: Scenario): Promise<void> {
  expect(await accesses(scenario)).toEqual(ARCHIVED);
  expect(await restoreRows(scenario)).toEqual([]);
  expect(await restoredEntries(scenario)).toEqual([]);
  expect(await scenario.answers()).toEqual([]);
}

describe("what a restore costs", () => {
  it("is agreed to first: nobody, too low a limit and a no are refused, and nothing is asked for", async () => {
    await using scenario = await createColdDays();
    const errors: string[] = [];
    const quotes: RestoreQuote[] = [];
    for (const allow of [
      undefined,
      { costMax: 3n * DOLLAR - 1n },
      (quote: RestoreQuote) => {
        quotes.push(quote);
        return false;
      },
    ] satisfies RestoreTerms["allow"][]) {
      const error = (await retrieve(scenario, allow === undefined ? {} : { allow }).catch(
        (thrown: unknown) => thrown,
      )) as FirnlineError;
      expect(error).toMatchObject({ code: "E_INPUT", subject: "pipeline audit_logs" });
      errors.push(error.message.replace(/\([\d.]+ KiB/, "(SIZE"));
    }
    const sum =
      "E_INPUT pipeline audit_logs: 3 cold segments (SIZE in DEEP_ARCHIVE) must be restored first, for about 3.00 USD by the prices of us-east-1 " +
      "(tier Standard, readable for 3 days)";
    expect(errors).toEqual([
      `${sum}, and nobody agreed to that. Nothing was asked of the store. Add --yes or --max-cost 3.00.`,
      `${sum}, which is more than 3.00 USD. Nothing was asked of the store. Add --yes or --max-cost 3.00.`,
      `${sum}, and the answer was no. Nothing was asked of the store. Ask for less, or for a cheaper --tier; Bulk is the slowest.`,
    ]);
    expect(quotes).toMatchObject([
      {
        segments: { length: 3 },
        storageClasses: ["DEEP_ARCHIVE"],
        longer: [],
        underWay: 0,
        readable: 0,
        tier: "Standard",
        days: 3,
        cost: 3n * DOLLAR,
        currency: "USD",
        minutesMax: 720,
      },
    ]);
    await expectNothingAsked(scenario);
  });

  it("that is not known is refused by a limit, and what is free needs nobody's word", async () => {
    await using scenario = await createColdDays();
    await using pipeline = new Pipeline({
      policy: scenario.policy,
      connectionString: scenario.url,
      settings: scenario.settings(),
    });
    // No tier of that name in the list.
    const own = await readPrices(prices["FIRNLINE_PRICES"] as string);
    const { restores: _, ...deep } = own.classes.DEEP_ARCHIVE;
    const unknown = { ...own, classes: { ...own.classes, DEEP_ARCHIVE: { ...deep, restores: {} } } };
    const out = join(scenario.folder, "answer");
    const ask = async (restore: RestoreTerms) =>
      await pipeline.retrieve(RANGE, { out, requestedBy: "alice", restore });
    await expect(ask({ prices: unknown, allow: { costMax: 1_000n * DOLLAR } })).rejects.toMatchObject({
      code: "E_INPUT",
      problem: expect.stringContaining("at a cost that is not known"),
    });
    await expect(ask({ prices: unknown })).rejects.toMatchObject({
      hint: "Nothing was asked of the store. Add --yes",
    });
    await expectNothingAsked(scenario);
    expect(await ask({ prices: own, tier: "Bulk" })).toMatchObject({ rows: 300n, restored: 3 });
  });

  it("is not asked for what a folder does, which is no cold store and sends no bill", async () => {
    await using scenario = await createColdDays();
    const quotes: RestoreQuote[] = [];
    const found = await retrieve(scenario, { onQuote: (quote) => quotes.push(quote) }, { environ: {} });
    expect(found).toMatchObject({ rows: 300n, restored: 3 });
    expect(quotes).toMatchObject([{ cost: 0n, currency: null, minutesMax: null }]);
    expect(await retrieve(scenario, {}, { environ: {} })).toMatchObject({ restored: 0 });
  });

  it("is not the class's: DEEP_ARCHIVE has no Expedited, said before anything is asked for", async () => {
    await using scenario = await createColdDays();
    await expect(retrieve(scenario, { tier: "Expedited", allow: "any" })).rejects.toMatchObject({
      code: "E_INPUT",
      problem: "3 segments of the range are in DEEP_ARCHIVE, which has no Expedited restore",
    });
    await expectNothingAsked(scenario);
  });
});

describe("a restore", () => {
  it("is recorded and journaled with who asked for what, and the next run journals it", async () => {
    await using scenario = await createColdDays();
    const result = await retrieve(scenario, { allow: { costMax: 3n * DOLLAR }, days: 5 });
    expect(result).toMatchObject({ rows: 300n, restored: 3, rowsFrom: { hot: 60n, warm: 60n, cold: 180n } });
    const rows = await restoreRows(scenario);
    expect(rows).toHaveLength(3);
    for (const row of rows) {
      expect(row).toMatchObject({
        state: "readable",
        tier: "Standard",
        days: 5,
        requested_by: "alice",
        retrieving: true,
      });
    }
    expect(await restoredEntries(scenario)).toEqual([rows.map(({ segment }) => segment)]);
    await scenario.run();
    expect(await restoredEntries(scenario)).toEqual([]);
    await using pipeline = scenario.open();
    const findings: unknown[] = [];
    await pipeline.verify({ onFinding: (finding) => findings.push(finding) });
    expect(findings).toEqual([]);
  });

  it.each([
    ["restore.asked", "asked", ARCHIVED],
    ["restore.requested", "asked", COLD_DAYS.map(() => "DEEP_ARCHIVE readable")],
  ] as const)(
    "cut at %s is taken up without a question, and not asked for twice",
    async (point, state, store) => {
      await using scenario = await createColdDays();
      const environ = { ...prices, FIRNLINE_FAILPOINT: `${point}:error` };
      await expect(retrieve(scenario, { allow: "any" }, { environ })).rejects.toMatchObject({
        code: "E_INTERNAL",
      });
      expect((await restoreRows(scenario)).map((row) => row["state"])).toEqual([state, state, state]);
      expect(await accesses(scenario)).toEqual(store);
      expect(await restoredEntries(scenario)).toHaveLength(1);

      // Nobody agrees to anything here: it was agreed to.
      expect(await retrieve(scenario, {}, { by: "bob" })).toMatchObject({ rows: 300n });
      const rows = await restoreRows(scenario);
      expect(rows.map((row) => [row["state"], row["requested_by"]])).toEqual(
        rows.map(() => ["readable", "alice"]),
      );
      expect(rows).toHaveLength(3);
      expect(await restoredEntries(scenario)).toHaveLength(1);
    },
  );

  it("is one for two retrievals at once", async () => {
    await using scenario = await createColdDays();
    let asked = 0;
    const counting = (archive: Archive): Archive =>
      override(archive, {
        restore: async (...args) => {
          asked += 1;
          return await archive.restore(...args);
        },
      });
    const environ = { ...prices, ...SLOW };
    const both = await Promise.all(
      ["alice", "bob"].map(
        async (by) => await retrieve(scenario, { allow: "any" }, { environ, by, archive: counting }),
      ),
    );
    expect(both.map(({ rows, restored }) => [rows, restored])).toEqual([
      [300n, 3],
      [300n, 3],
    ]);
    expect(asked).toBe(3);
    expect(await restoreRows(scenario)).toHaveLength(3);
    expect((await restoredEntries(scenario)).flat()).toHaveLength(3);
  });

  it("that the store is at and nothing is recorded of is joined, at no cost, and shown as found", async () => {
    await using scenario = await createColdDays();
    const environ = { ...prices, FIRNLINE_FILE_RESTORE_DELAY_MS: "60000" };
    {
      await using own = wired(scenario, environ);
      for (const head of await coldHeads(own)) {
        await own.environment.archive.restore(head, { days: 1, tier: "Standard" });
      }
    }
    const clock = new JumpingClock();
    expect(await retrieve(scenario, {}, { environ, clock })).toMatchObject({ rows: 300n, restored: 3 });
    const rows = await restoreRows(scenario);
    expect(rows.map((row) => [row["state"], row["tier"], row["days"]])).toEqual(
      rows.map(() => ["readable", null, null]),
    );
    expect(await restoredEntries(scenario)).toEqual([]);
  });

  it("that the store refuses is recorded as failed, and asked for anew the next time", async () => {
    await using scenario = await createColdDays();
    const refusing = (archive: Archive): Archive =>
      override(archive, {
        restore: async ({ key }) => {
          throw new FirnlineError({
            code: "E_ARCHIVE",
            subject: key,
            problem: "no capacity",
            hint: "Try later",
          });
        },
      });
    await expect(retrieve(scenario, { allow: "any" }, { archive: refusing })).rejects.toMatchObject({
      problem: "no capacity",
    });
    expect((await restoreRows(scenario)).map((row) => row["state"])).toEqual(["failed", "failed", "failed"]);
    await expect(retrieve(scenario)).rejects.toMatchObject({ code: "E_INPUT" });
    expect(await retrieve(scenario, { allow: "any" })).toMatchObject({ rows: 300n });
    expect(await restoreRows(scenario)).toHaveLength(6);
  });

  it("that the store takes long to answer keeps its locks: a transaction that waits is not idle", async () => {
    await using scenario = await createColdDays();
    let asked = 0;
    let long: Promise<unknown> | undefined;
    const slow = (archive: Archive): Archive =>
      override(archive, {
        restore: async (...args) => {
          asked += 1;
          // Longer than the lease, which is what a transaction may be idle.
          await (long ??= scenario.query("SELECT pg_sleep(4)"));
          return await archive.restore(...args);
        },
      });
    const environ = { ...prices, FIRNLINE_LEASE_SECONDS: "3" };
    expect(await retrieve(scenario, { allow: "any" }, { environ, archive: slow })).toMatchObject({
      rows: 300n,
    });
    expect(asked).toBe(3);
  });

  it("is not asked of a store that has none, and reads what it calls cold", async () => {
    await using scenario = await createColdDays();
    let restores = 0;
    const lukewarm = (archive: Archive): Archive =>
      override(archive, {
        head: async (object) => {
          const head = await archive.head(object);
          return (
            head && {
              ...head,
              ...(isData(object.key) && { storageClass: "GLACIER", access: { state: "archived" } }),
            }
          );
        },
        restore: async ({ key }) => {
          restores += 1;
          throw new FirnlineError({
            code: "E_ARCHIVE",
            subject: key,
            problem: "there are no restores",
            hint: "-",
          });
        },
      });
    const isData = (key: string): boolean => key.endsWith(".parquet");
    // The copies are there, and this store says otherwise.
    await retrieve(scenario, { allow: "any" }, { environ: {} });
    const before = await restoreRows(scenario);
    expect(await retrieve(scenario, {}, { archive: lukewarm })).toMatchObject({ rows: 300n, restored: 0 });
    expect([restores, await restoreRows(scenario)]).toEqual([0, before]);
  });

  it("changes no class, and makes no transition: a readable copy is not archived again", async () => {
    await using scenario = await createColdDays();
    await retrieve(scenario, { allow: "any" });
    expect(await accesses(scenario)).toEqual(READABLE);
    const summary = await scenario.run();
    expect(moved(summary)).toEqual(NOTHING);
    expect(summary.plan.steps).toEqual([]);
    expect(await accesses(scenario)).toEqual(READABLE);
  });

  it("stays with its segment when the catalog is rebuilt", async () => {
    await using scenario = await createColdDays();
    await retrieve(scenario, { allow: "any" });
    await using pipeline = scenario.open();
    await pipeline.rebuildCatalog({ isConfirmed: true });
    expect(await restoreRows(scenario)).toHaveLength(3);
    expect(await restoredEntries(scenario)).toHaveLength(1);
  });
});

describe("a copy that ends (hazard 23)", () => {
  it("before the last one comes is asked to stay longer, and that is told and recorded", async () => {
    await using scenario = await createColdDays();
    const clock = new JumpingClock();
    const slow = {
      ...(await writePrices(scenario.folder, 60 * 60)),
      FIRNLINE_FILE_RESTORE_DELAY_MS: `${60 * HOUR}`,
    };
    await using own = wired(scenario, { FIRNLINE_FILE_RESTORE_DELAY_MS: "0" }, clock);
    const [first] = await coldHeads(own);
    await own.environment.archive.restore(first as never, { days: 1, tier: "Standard" });
    const quotes: RestoreQuote[] = [];
    const terms = { allow: "any", days: 1, onQuote: (quote: RestoreQuote) => quotes.push(quote) } as const;
    const result = await retrieve(scenario, terms, { environ: slow, clock });
    expect(result).toMatchObject({ rows: 300n, restored: 2 });
    expect(quotes[0]).toMatchObject({
      longer: { length: 1 },
      segments: { length: 2 },
      days: 3,
      cost: 3n * DOLLAR,
    });
    expect((await restoredEntries(scenario))[0]).toHaveLength(3);
  });

  it("while others are waited for is asked for again", async () => {
    await using scenario = await createColdDays();
    const clock = new JumpingClock();
    let jumps = 1;
    clock.onSleep = () => {
      if (jumps-- > 0) clock.jump(10 * DAY);
    };
    const environ = { ...prices, FIRNLINE_FILE_RESTORE_DELAY_MS: "60000" };
    expect(await retrieve(scenario, { allow: "any" }, { environ, clock })).toMatchObject({
      rows: 300n,
      restored: 3,
    });
    const states = (await restoreRows(scenario)).map((row) => row["state"]);
    expect(states).toEqual(["expired", "expired", "expired", "readable", "readable", "readable"]);
  });

  it("again and again is given up, with no file", async () => {
    await using scenario = await createColdDays();
    const clock = new JumpingClock();
    clock.onSleep = () => clock.jump(10 * DAY);
    const environ = { ...prices, FIRNLINE_FILE_RESTORE_DELAY_MS: "60000" };
    await expect(retrieve(scenario, { allow: "any" }, { environ, clock })).rejects.toMatchObject({
      code: "E_COLD",
      problem: "its restored copy ended 3 times before it could be read",
    });
    expect(await restoreRows(scenario)).toHaveLength(9);
    expect(await scenario.answers()).toEqual([]);
  });

  it.each([
    ["is restored again, and the read goes on where it stopped", "any", null],
    ["is refused where that costs more than was allowed, with no file", { costMax: 3n * DOLLAR }, "E_INPUT"],
  ] as const)("in the middle of the read %s (fault 31)", async (_, allow, code) => {
    await using scenario = await createColdDays();
    const clock = new JumpingClock();
    const complete = await retrieve(scenario, { allow: "any" }, { environ: {}, clock });
    clock.jump(10 * DAY);
    let reads = 0;
    const expiring = (archive: Archive): Archive =>
      override(archive, {
        read: (object, range, signal) => {
          // The second day's rows are being read.
          if (object.key.endsWith(".parquet") && ++reads === 5) clock.jump(10 * DAY);
          return archive.read(object, range, signal);
        },
      });
    const asked = retrieve(scenario, { allow }, { clock, archive: expiring });
    if (code === null) {
      expect(await asked).toMatchObject({ rows: 300n, sha256: complete.sha256 });
      const states = (await restoreRows(scenario)).map((row) => row["state"]);
      const again = states.length - 6;
      expect([again >= 1, again <= 3]).toEqual([true, true]);
      expect(states.filter((state) => state === "expired")).toHaveLength(3 + again);
      expect(states.filter((state) => state === "readable")).toHaveLength(3);
    } else {
      const before = await scenario.answers();
      await expect(asked).rejects.toMatchObject({ code, problem: expect.stringContaining("after 3.00 USD") });
      expect(await scenario.answers()).toEqual(before);
    }
  });
});

describe("rehydrate", () => {
  async function rehydrate(scenario: Scenario, terms: RestoreTerms, environ = prices, clock?: Clock) {
    await using own: Wired = wired(scenario, environ, clock);
    return await rehydrateRange(own.environment, {
      request: RANGE,
      requestedBy: "carol",
      prices: await pricesOf(environ),
      terms,
      signal: new AbortController().signal,
    });
  }

  it("asks and does not wait; the retrieval after it pays nothing", async () => {
    await using scenario = await createColdDays();
    const clock = new JumpingClock();
    const environ = { ...prices, FIRNLINE_FILE_RESTORE_DELAY_MS: `${2 * HOUR}` };
    await expect(rehydrate(scenario, {}, environ, clock)).rejects.toMatchObject({ code: "E_INPUT" });
    await expectNothingAsked(scenario);
    const result = await rehydrate(scenario, { allow: "any" }, environ, clock);
    expect(result).toMatchObject({ segments: 4, asked: { length: 3 }, waiting: 3 });
    expect(await rehydrate(scenario, {}, environ, clock)).toMatchObject({
      asked: [],
      waiting: 3,
      quote: { cost: 0n, underWay: 3 },
    });
    expect(await retrieve(scenario, {}, { environ, clock })).toMatchObject({ rows: 300n, restored: 3 });
    for (const row of await restoreRows(scenario)) {
      expect(row).toMatchObject({ requested_by: "carol", retrieving: false, state: "readable" });
    }
  });

  it("lengthens copies that are readable to the days that were named, at their cost", async () => {
    await using scenario = await createColdDays();
    const clock = new JumpingClock();
    const environ = { ...prices, FIRNLINE_FILE_RESTORE_DELAY_MS: "0" };
    await rehydrate(scenario, { allow: "any", days: 1 }, environ, clock);
    expect((await rehydrate(scenario, {}, environ, clock)).quote).toMatchObject({ longer: [], cost: 0n });
    await expect(rehydrate(scenario, { days: 5 }, environ, clock)).rejects.toMatchObject({
      code: "E_INPUT",
      problem: expect.stringMatching(/3 restored copies must stay longer, for .* readable for 5 days/),
    });
    const { quote } = await rehydrate(scenario, { allow: "any", days: 5 }, environ, clock);
    expect(quote).toMatchObject({ longer: { length: 3 }, segments: [], days: 5, cost: 3n * DOLLAR });
    await using own = wired(scenario, environ, clock);
    for (const { access } of await coldHeads(own)) {
      expect(access).toMatchObject({ state: "readable" });
      expect((access as { until: number }).until).toBeGreaterThanOrEqual(clock.now() + 5 * DAY);
    }
    expect((await rehydrate(scenario, { days: 5 }, environ, clock)).quote).toMatchObject({ longer: [] });
    expect((await rehydrate(scenario, { days: 2 }, environ, clock)).quote).toMatchObject({ longer: [] });
    expect(await retrieve(scenario, { days: 9 }, { environ, clock })).toMatchObject({ rows: 300n });
  });
});

describe("restores", () => {
  it("lists what is under way as the store has it now, and what has ended with `all`", async () => {
    await using scenario = await createColdDays();
    await retrieve(scenario, { allow: "any", days: 2 });
    const clock = new JumpingClock();
    const open = (): Pipeline =>
      new Pipeline({
        policy: scenario.policy,
        connectionString: scenario.url,
        settings: scenario.settings(),
        clock,
      });
    await using pipeline = open();
    const found = await pipeline.restores();
    expect(found).toHaveLength(3);
    for (const one of found) {
      expect(one).toMatchObject({
        requestedBy: "alice",
        state: "readable",
        tier: "Standard",
        days: 2,
        rule: "default",
      });
      expect(one.until as number).toBeGreaterThan(clock.now() + DAY);
    }
    clock.jump(4 * DAY);
    expect(await pipeline.restores()).toEqual([]);
    expect((await pipeline.restores({ all: true })).map(({ state }) => state)).toEqual([
      "expired",
      "expired",
      "expired",
    ]);
  });
});

/** The archive with some methods of a test's own. */
function override(archive: Archive, own: Partial<Archive>): Archive {
  return new Proxy(archive, {
    get(target, name) {
      const value: unknown = Reflect.get(own, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" && !Object.hasOwn(own, name) ? value.bind(target) : value;
    },
  });
}
