/**
 * A reader turns one text of the policy file into a value, or says what is wrong with it. It never throws, so
 * that one pass can report every finding of a file, and it never repeats a text that may hold a secret.
 */
export type Reading<T> = { readonly ok: true; readonly value: T } | Refusal;

export interface Refusal {
  readonly ok: false;
  /** What is wrong, with what was found. No final full stop. */
  readonly problem: string;
  /** What to write instead; null where the field's own hint (`notes.ts`) says it best. No final full stop. */
  readonly hint: string | null;
}

export const read = <T>(value: T): Reading<T> => ({ ok: true, value });

export const refuse = (problem: string, hint: string | null = null): Refusal => ({
  ok: false,
  problem,
  hint,
});

const SHOWN_CHARACTERS_MAX = 60;

/** URLs with user data, keys of AWS, PEM blocks, long unbroken tokens: what people paste by mistake. */
const SECRET =
  /:\/\/|@.*:|passw|pwd=|secret|token|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|-----BEGIN|[A-Za-z0-9+/=_-]{32,}/i;

/** True when `text` should not reach a terminal, a log or the journal. */
export function looksSecret(text: string): boolean {
  return SECRET.test(text);
}

/** `text` quoted for a message: clipped, control characters escaped, and withheld when it may be a secret. */
export function shown(text: string): string {
  if (looksSecret(text)) return `${text.length} characters, not shown here as they may be a secret`;
  const clipped = text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}...` : text;
  // JSON leaves C1 controls and marks that reverse the direction of a terminal's line as they are.
  return JSON.stringify(clipped).replaceAll(/[\u007f-\u009f\u200e-\u200f\u2028-\u202e\u2066-\u2069]/g, "?");
}
