/** Taking and keeping the lease that makes a run the only one of its database. */
import type { Lease, LeaseHolder } from "../catalog/port.ts";
import { FirnlineError, isFirnlineError } from "../errors.ts";
import type { Environment } from "../environment.ts";

export interface LeaseRequest {
  readonly run: string;
  readonly holder: LeaseHolder;
  /** Whether the process that holds a lease is known to be gone, so that its lease need not expire first. */
  readonly isDead: (holder: LeaseHolder) => boolean;
}

export async function takeLease<Tx>(environment: Environment<Tx>, options: LeaseRequest): Promise<Lease> {
  const { catalog, limits, policy } = environment;
  const { run, holder } = options;
  const request = { pipeline: policy.pipeline, run, holder, durationMs: limits.leaseMs };
  let answer = await catalog.acquireLease(request);
  if (answer.outcome === "held" && options.isDead(answer.holder)) {
    // Safe even if we are wrong: the epoch fences the old holder off (I6).
    answer = await catalog.acquireLease({ ...request, takeOver: { run: answer.run } });
  }
  if (answer.outcome === "acquired") return answer.lease;
  throw new FirnlineError({
    code: "E_LOCKED",
    subject: `pipeline ${policy.pipeline}`,
    problem:
      `run ${answer.run} holds its lease (process ${answer.holder.pid} on ${answer.holder.host}, ` +
      `until ${new Date(answer.expiresAt).toISOString()} unless renewed)`,
    hint: "Wait for it to end; a lease that is not renewed expires by itself",
  });
}

/** Renews the lease until disposed. A lost lease aborts the run through `signal`, with `E_STALE` as the reason. */
export function startHeartbeat<Tx>(
  environment: Environment<Tx>,
  lease: Lease,
  outer: AbortSignal,
): AsyncDisposable & { readonly signal: AbortSignal } {
  const { catalog, clock, limits } = environment;
  const lost = new AbortController();
  const stop = new AbortController();
  const beat = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await clock.sleep(limits.leaseMs / 3, stop.signal).catch(() => {});
      if (stop.signal.aborted) return;
      try {
        await catalog.renewLease(lease, limits.leaseMs);
      } catch (error) {
        // An unreachable database is no reason yet: every write checks the lease for itself.
        if (isFirnlineError(error, "E_STALE")) lost.abort(error);
      }
    }
  };
  const beating = beat();
  return {
    signal: AbortSignal.any([outer, lost.signal]),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await beating;
    },
  };
}
