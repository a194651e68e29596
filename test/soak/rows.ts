/** What the rows of the soak hold: nothing that does not follow from their id and version. */

/** One state of one row. */
export interface RowState {
  readonly id: number;
  /** Goes up with each UPDATE. */
  readonly version: number;
  /** Microseconds since 1970. */
  readonly time: bigint;
}

const ACTIONS = ["login", "logout", "read", "write", "export", "grant"] as const;

export const actionOf = ({ id }: RowState): string => ACTIONS[id % ACTIONS.length] as string;

/** Between 20 and 400 characters. */
export function messageOf({ id, version }: RowState): string {
  return `row ${id}, version ${version}: ${"abcdefgh".repeat((id * 7 + version * 3) % 48)}`;
}

export const detailsOf = ({ id, version }: RowState): { readonly id: number; readonly v: number } => ({
  id,
  v: version,
});
