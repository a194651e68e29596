/** A calendar in which a day lasts seconds, so that rows become due while one looks on. */
import { addDays, type DayUtc, dayStart, type EpochMicros, parseDay } from "../../src/rows/day.ts";

/** Milliseconds of a clock that all processes of the machine share, and that only goes forward. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const DAY_MICROS = 86_400_000_000;

export interface CalendarPlan {
  /** When the calendar's first day began, by `monotonicMs`. */
  readonly beganMs: number;
  /** How long a day lasts. */
  readonly dayMs: number;
}

export const FIRST_DAY: DayUtc = parseDay("2026-01-01");

export class Calendar {
  readonly #plan: CalendarPlan;
  #stoppedMs: number | null = null;

  constructor(plan: CalendarPlan) {
    this.#plan = plan;
  }

  now(): EpochMicros {
    return (dayStart(FIRST_DAY) + BigInt(Math.trunc(this.#days() * DAY_MICROS))) as EpochMicros;
  }

  today(): DayUtc {
    return addDays(FIRST_DAY, Math.floor(this.#days()));
  }

  /** From now on it is always now. */
  stop(): void {
    this.#stoppedMs = monotonicMs();
  }

  #days(): number {
    const { beganMs, dayMs } = this.#plan;
    return ((this.#stoppedMs ?? monotonicMs()) - beganMs) / dayMs;
  }
}
