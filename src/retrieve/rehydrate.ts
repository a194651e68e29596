/**
 * Copies of a range's cold segments, asked for without reading them: over the weekend, for a retrieval on Monday. And what
 * that would cost, without asking for anything.
 */
import type { ReadableSegment } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import type { PriceList } from "../plan/cost.ts";
import { dayOf, type EpochMicros } from "../rows/day.ts";
import {
  askForCopies,
  lookAtCopies,
  quoteCopies,
  recordSeen,
  type RestoreContext,
} from "./ask-for-copies.ts";
import type { RangeRequest } from "./request.ts";
import type { RestoreQuote, RestoreTerms } from "./restore-quote.ts";
import { requireRetrievable } from "./retrievable.ts";
import { requireSameHistory } from "./same-history.ts";

export interface RangeRestore {
  readonly request: RangeRequest;
  readonly requestedBy: string;
  /** What restores cost; null where nobody knows. */
  readonly prices: PriceList | null;
  /** How cold segments may be restored. */
  readonly terms: RestoreTerms;
  readonly signal: AbortSignal;
}

export interface RehydrateResult {
  readonly quote: RestoreQuote;
  /** Segments of the range in the archive. */
  readonly segments: number;
  /** Of these, copies that this call asked for. */
  readonly asked: readonly string[];
  /** Copies that are not readable yet. */
  readonly waiting: number;
}

/** What a retrieval of the range would have to pay for. Changes nothing. */
export async function quoteRange<Tx>(
  environment: Environment<Tx>,
  options: RangeRestore,
): Promise<RestoreQuote> {
  const { context, segments } = await find(environment, options);
  return quoteCopies(context, await lookAtCopies(context, segments));
}

/** Throws `E_INPUT` where nobody agreed to the cost. Does not wait. */
export async function rehydrateRange<Tx>(
  environment: Environment<Tx>,
  options: RangeRestore,
): Promise<RehydrateResult> {
  const terms = { ...options.terms, lengthen: options.terms.lengthen ?? true };
  const { context, segments } = await find(environment, { ...options, terms });
  const { quote, mine } = await askForCopies(context, await lookAtCopies(context, segments), 0n);
  const looks = await lookAtCopies(context, segments);
  await recordSeen(context, looks);
  const waiting = looks.filter(({ head }) => head.access.state !== "readable").length;
  return { quote, segments: segments.length, asked: [...mine].sort(), waiting };
}

async function find<Tx>(
  environment: Environment<Tx>,
  { request, requestedBy, prices, terms, signal }: RangeRestore,
): Promise<{ context: RestoreContext; segments: ReadableSegment[] }> {
  const { catalog, policy } = environment;
  const { pipeline } = await requireRetrievable(environment);
  await requireSameHistory(environment, pipeline.journal);
  const dayTo = dayOf((request.to - 1n) as EpochMicros);
  const segments = await catalog.readableNow(policy.pipeline, dayOf(request.from), dayTo);
  const own = {
    pipeline: policy.pipeline,
    requestedBy,
    retrieval: null,
    prices,
    terms,
    readAtOnce: new Map(),
    signal,
  };
  return { context: { ...environment, ...own }, segments };
}
