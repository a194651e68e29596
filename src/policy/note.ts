/** What is said of a field of the policy file. */
export interface Note {
  readonly title: string;
  readonly description: string;
  /** The last sentence of an error about this field. No final full stop. */
  readonly hint: string;
  // The rest is for fields that are texts.
  /** For editors; the reader of the field has the last word. */
  readonly pattern?: string;
  readonly examples?: readonly string[];
  readonly charactersMax?: number;
}
