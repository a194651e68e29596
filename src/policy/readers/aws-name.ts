/** Names that AWS gives meaning to. They become part of requests, so only what AWS allows goes through. */
import { read, refuse, shown, type Reading } from "./reading.ts";

/** A vault's name; `-` alone stands for the account in the vault API, and is none. Source: Amazon S3 Glacier, Vaults. */
export const VAULT_PATTERN = "^[A-Za-z0-9._-]{1,255}$";
/** The number of an account of AWS. */
export const ACCOUNT_PATTERN = "^\\d{12}$";
/** A key id, its ARN, or an alias. Source: AWS KMS, Key identifiers. */
export const KMS_KEY_PATTERN =
  "^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\\d{12}:)?(key/|alias/)?[A-Za-z0-9/_-]{1,256}$";

export function readVault(text: string): Reading<string> {
  return new RegExp(VAULT_PATTERN).test(text) && text !== "-" && !text.startsWith(".")
    ? read(text)
    : refuse(`not the name of a vault (found ${shown(text)})`);
}

export function readAccount(text: string): Reading<string> {
  return new RegExp(ACCOUNT_PATTERN).test(text)
    ? read(text)
    : refuse(`not the number of an account (found ${shown(text)})`);
}

export function readKmsKey(text: string): Reading<string> {
  return new RegExp(KMS_KEY_PATTERN).test(text) ? read(text) : refuse("not a key of KMS (not shown)");
}
