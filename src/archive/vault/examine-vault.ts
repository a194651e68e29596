/** What `doctor` says of a vault: whether it is there and open to us, and that its time is over. */
import { FirnlineError, isFirnlineError } from "../../errors.ts";
import { type Advice, sizeText } from "../../plan/advice.ts";
import type { Vault } from "./vault.ts";

export async function examineVault(
  vault: Vault,
): Promise<{ readonly findings: readonly FirnlineError[]; readonly advice: readonly Advice[] }> {
  const subject = `vault ${vault.name}`;
  try {
    const found = await vault.describe({ op: "archive.examine", key: subject });
    if (found === null) return { findings: [noVault(subject)], advice: [] };
    return { findings: [], advice: [closed(subject, found)] };
  } catch (error) {
    if (!isFirnlineError(error) || error.retryable) throw error;
    return { findings: [error], advice: [] };
  }
}

function noVault(subject: string): FirnlineError {
  return new FirnlineError({
    code: "E_BUCKET",
    subject,
    problem: "there is no such vault in this account and region",
    hint: "Check tiers.cold.vault and archive.region. AWS takes no new customers for vaults since 2025-12-15: without one, name a storageClass",
    op: "archive.examine",
  });
}

function closed(subject: string, { archives, bytes }: { archives: bigint; bytes: bigint }): Advice {
  return {
    code: "A_BUCKET",
    subject,
    problem: `AWS takes no new customers for vaults since 2025-12-15, and keeps this one (${archives} archives, ${sizeText(bytes)} at its last inventory)`,
    hint: "tiers.cold.storageClass: DEEP_ARCHIVE is a quarter of the price; what is in the vault can stay there",
    fix: [],
  };
}
