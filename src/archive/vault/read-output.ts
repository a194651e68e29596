/**
 * Reads a range of a retrieval job's output. A body that breaks off is asked for again from where it stopped. Where the
 * vault says the tree hash of what it sends, which it does for ranges of whole MiB, that is compared too; whoever reads
 * compares the bytes with the manifest in any case.
 */
import { FirnlineError } from "../../errors.ts";
import { endsEarly, throwIfAborted, type Where } from "../refusals.ts";
import { TreeHash } from "./tree-hash.ts";
import type { Vault } from "./vault.ts";

/** Times in a row that a body may break off without a single byte. */
const RESUMES_MAX = 3;

export async function* readOutput(
  vault: Vault,
  where: Where,
  jobId: string,
  { start, end, bytes }: { readonly start: number; readonly end: number; readonly bytes: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  throwIfAborted(where, signal);
  for (let at = start, resumes = 0; at < end; resumes += 1) {
    const before = at;
    const output = await vault.output(where, jobId, at, end, signal);
    const isAll = output.isWhole;
    const hash = output.treeHash === null ? null : new TreeHash();
    // Of a server that knows no ranges, what was not asked for is thrown away.
    let position = isAll ? 0 : at;
    const limit = isAll ? bytes : end;
    try {
      for await (const piece of output.body) {
        throwIfAborted(where, signal);
        hash?.update(piece);
        const from = Math.max(0, at - position);
        const to = Math.min(piece.byteLength, end - position);
        position += piece.byteLength;
        if (from < to) {
          yield piece.subarray(from, to);
          at += to - from;
        }
        if (at === end && hash === null) return;
      }
    } catch (error) {
      throwIfAborted(where, signal);
      if (!isBrokenOff(error) || (at === before && resumes >= RESUMES_MAX)) throw error;
      if (at > before) resumes = 0;
      continue;
    }
    throwIfAborted(where, signal);
    if (position !== limit) throw endsEarly(where, `the job's output ended at byte ${position} of ${limit}`);
    const found = hash?.digest();
    if (found !== undefined && found !== output.treeHash) throw damaged(where, found, output.treeHash);
  }
}

/** Something on the way, which says nothing about the bytes. */
const isBrokenOff = (error: unknown): boolean => error instanceof FirnlineError && error.retryable;

function damaged({ op, key }: Where, found: string, expected: string | null): FirnlineError {
  return new FirnlineError({
    code: "E_VERIFY",
    subject: key,
    problem: `the tree hash of the job's output is ${found}, the vault says ${expected}`,
    hint: "Nothing was given out; retrieve again, and compare with the vault's inventory if it stays so",
    op,
    key,
  });
}
