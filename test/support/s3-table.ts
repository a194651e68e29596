/** The table capability x server that closes a run of S3 suites: what tests that passed saw (`saw` in `s3-server.ts`). */
export interface Seen {
  readonly server: string;
  readonly capability: string;
  readonly seen: string;
}

const NOT_SEEN = "-";

/** Lines of the table, capabilities in the order in which they were seen first; empty where nothing was seen. */
export function tableOf(all: readonly Seen[]): string[] {
  if (all.length === 0) return [];
  const servers = [...new Set(all.map(({ server }) => server))].sort();
  const rows = [...Map.groupBy(all, ({ capability }) => capability)].map(([capability, seen]) => [
    capability,
    ...servers.map((server) => cellOf(seen.filter((one) => one.server === server))),
  ]);
  const lines = [["capability", ...servers], ...rows];
  const widths = ["", ...servers].map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function cellOf(seen: readonly Seen[]): string {
  const answers = [...new Set(seen.map((one) => one.seen))];
  return answers.length === 0 ? NOT_SEEN : answers.join(", ");
}
