/** Retrievals of random ranges, each compared with the model: complete, or refused with a reason. */
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";
import { isFirnlineError } from "../../src/errors.ts";
import type { Pipeline } from "../../src/pipeline.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import { addDays, formatDay, parseInstant } from "../../src/rows/day.ts";
import type { Chance } from "../simulation/chance.ts";
import type { Application } from "./application.ts";
import { type Calendar, FIRST_DAY, monotonicMs } from "./calendar.ts";
import type { Gate } from "./gate.ts";
import type { Model } from "./model.ts";
import { actionOf, detailsOf, messageOf, type RowState } from "./rows.ts";
import type { Stage } from "./stage.ts";

/** Answers that are no refusals: the archive, or Firnline itself, is at fault. */
const FAULTS = /^E_(?:INTERNAL|VERIFY)\b/;

export interface RetrievalCounts {
  answers: number;
  rows: bigint;
  lost: number;
  duplicated: number;
  altered: number;
}

interface Asked {
  readonly from: string;
  readonly to: string;
  readonly out: string;
}

export class Retrievals {
  readonly counts: RetrievalCounts = { answers: 0, rows: 0n, lost: 0, duplicated: 0, altered: 0 };
  /** `CODE: how it was refused`, with how often. */
  readonly refusals = new Map<string, number>();
  readonly faults: string[] = [];
  readonly #stage: Stage;
  readonly #calendar: Calendar;
  readonly #application: Application;
  readonly #model: Model;
  readonly #gate: Gate;
  #number = 0;

  constructor(stage: Stage, calendar: Calendar, application: Application, model: Model, gate: Gate) {
    this.#stage = stage;
    this.#calendar = calendar;
    this.#application = application;
    this.#model = model;
    this.#gate = gate;
  }

  /** By `firnline retrieve`, a process each. */
  async playAsProcesses(chance: Chance, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await this.#gate.through(async () => await this.ask(this.#range(chance)));
  }

  /** By one pipeline that lives in this process all the while. */
  async playWithin(pipeline: Pipeline, chance: Chance, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#gate.through(async () => {
        const asked = this.#range(chance);
        await this.#compare(asked, async () => {
          const { from, to, out } = asked;
          try {
            await pipeline.retrieve(parseRange(from, to), { out, requestedBy: "the soak" });
            return null;
          } catch (error) {
            if (isFirnlineError(error)) return error.message;
            throw error;
          }
        });
      });
    }
  }

  /** Everything. */
  async askForAll(): Promise<void> {
    await this.ask({ from: "2025-01-01", to: "2027-12-31", out: this.#file() });
  }

  async ask(asked: Asked): Promise<void> {
    const { from, to, out } = asked;
    await this.#compare(asked, async () => {
      const args = ["audit_logs", "--from", from, "--to", to, "--out", out, "--yes"];
      await using child = this.#stage.spawn(["retrieve", ...args]);
      const { code, stderr } = await child.ended;
      return code === 0 || code === 10 ? null : (/^E_.*$/m.exec(stderr)?.[0] ?? `exit ${code}: ${stderr}`);
    });
  }

  /** `retrieve` answers with null, or with why it was refused. */
  async #compare({ from, to, out }: Asked, retrieve: () => Promise<string | null>): Promise<void> {
    const startMs = monotonicMs();
    const refusal = await retrieve();
    const endMs = monotonicMs();
    if (refusal !== null) {
      if (!refusal.startsWith("E_") || FAULTS.test(refusal))
        this.faults.push(`retrieve ${from} ${to}: ${refusal}`);
      const kind = refusal.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{12,}|\d+/g, "N").slice(0, 160);
      this.refusals.set(kind, (this.refusals.get(kind) ?? 0) + 1);
      return;
    }
    await this.#application.sync();
    const rows = await readAnswer(out);
    const found = this.#model.compare(rows, parseRange(from, to), { startMs, endMs });
    this.counts.answers += 1;
    this.counts.rows += BigInt(rows.length);
    for (const what of ["lost", "duplicated", "altered"] as const) {
      this.counts[what] += found[what].length;
      if (found[what].length > 0) {
        this.faults.push(
          `retrieve ${from} ${to}: ${what} ${found[what].slice(0, 10).join(", ")}; see ${out}`,
        );
      }
    }
    if (found.lost.length + found.duplicated.length + found.altered.length > 0) return;
    await rm(out);
    await rm(`${out}.evidence.json`);
  }

  #range(chance: Chance): Asked {
    const days = this.#calendar.today() - FIRST_DAY + 1;
    // Two weeks before the first day there are late rows.
    const first = addDays(FIRST_DAY, chance.between(-14, days));
    const from = formatDay(first);
    const to = formatDay(
      addDays(
        first,
        chance.weigh([
          [3, 0],
          [3, chance.below(5)],
          [1, days],
        ]),
      ),
    );
    return { from, to, out: this.#file() };
  }

  #file(): string {
    this.#number += 1;
    return join(this.#stage.folder, `answer-${this.#number}.ndjson`);
  }
}

interface Line {
  readonly id: number;
  readonly ts: string;
  readonly action: string;
  readonly message: string;
  readonly details: unknown;
}

/** A row whose columns do not belong together gets a version that no row has. */
async function readAnswer(path: string): Promise<RowState[]> {
  const rows: RowState[] = [];
  for await (const text of createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    const line = JSON.parse(text) as Line;
    const version = Number(/^row \d+, version (\d+): /.exec(line.message)?.[1] ?? -1);
    const row: RowState = { id: line.id, version, time: parseInstant(line.ts) };
    const isWhole =
      line.action === actionOf(row) &&
      line.message === messageOf(row) &&
      isDeepStrictEqual(line.details, detailsOf(row));
    rows.push(isWhole ? row : { ...row, version: -1 });
  }
  return rows;
}
