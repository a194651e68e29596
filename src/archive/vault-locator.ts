/**
 * What names an archive of a vault where an object is named: `vault:<name>:<bytes>:<archiveId>` stands in the place of a
 * version. A vault cannot be asked how large an archive is, so its size is a part of the name; and the vault is, so that
 * what lies in it can be read after the policy has named another place for cold objects.
 */
import type { Locator } from "./port.ts";

export interface VaultArchive {
  readonly vault: string;
  readonly archiveId: string;
  readonly bytes: bigint;
}

/** Ids are 138 characters of URL-safe base 64; other servers have shorter ones. */
const LOCATOR = /^vault:([A-Za-z0-9._-]{1,255}):(0|[1-9]\d{0,15}):([A-Za-z0-9_-]{1,200})$/;

export function vaultVersion({ vault, archiveId, bytes }: VaultArchive): string {
  return `vault:${vault}:${bytes}:${archiveId}`;
}

/** Null for an object of the bucket. */
export function vaultArchiveOf({ versionId }: Pick<Locator, "versionId">): VaultArchive | null {
  const match = versionId === null ? null : LOCATOR.exec(versionId);
  if (match === null) return null;
  const [, vault, bytes, archiveId] = match as unknown as [string, string, string, string];
  return { vault, archiveId, bytes: BigInt(bytes) };
}
