/** A vault around an archive changes nothing for what is not in the vault. What is: `test/unit/archive/vaulted-archive.test.ts`. */
import { openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import { openVaultedArchive } from "../../src/archive/vault/vaulted-archive.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { MemoryVault } from "../support/memory-vault.ts";
import { describeArchive } from "./archive.ts";
import { type ArchiveHarness, HOUR_MS } from "./archive/harness.ts";

function harness(versioned: boolean): ArchiveHarness {
  let clock = Date.UTC(2026, 0, 3, 10, 30);
  let counter = 0;
  const now = (): EpochMs => clock as EpochMs;
  const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill((counter += 1));
  const inner = openMemoryArchive({ now, random, restoreDelayMs: 12 * HOUR_MS, versioned });
  const openVault = (name: string): MemoryVault => new MemoryVault(name);
  return {
    archive: openVaultedArchive({ inner, openVault, target: "examplevault", now }),
    restoreDelayMs: 12 * HOUR_MS,
    now,
    advance: (ms) => void (clock += ms),
    corrupt: async (key, change) => inner.corrupt(key, change),
    dispose: async () => inner[Symbol.asyncDispose](),
  };
}

describeArchive("memory with a vault", async () => harness(false));
describeArchive("memory with a vault, versioned", async () => harness(true));
