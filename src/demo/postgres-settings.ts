/** The settings of the demo's server: quick, small, and nothing that changes what a query means. */
import { FirnlineError } from "../errors.ts";

const DEFAULTS = {
  max_connections: "100",
  shared_buffers: "64MB",
  timezone: "UTC",
  log_timezone: "UTC",
  // Files in the data folder: a killed server then leaves nothing behind in /dev/shm.
  dynamic_shared_memory_type: "mmap",
} as const;

/**
 * Lines for the end of postgresql.conf; `own` settings win. Without `durable`, fsync is off, which loses nothing when
 * the server alone is killed. full_page_writes and synchronous_commit stay on in any case: a killed server could
 * otherwise leave a torn page or forget a commit, and a test of crashes would be a test of that.
 */
export function settingLines(settings: {
  readonly durable: boolean;
  readonly own: Readonly<Record<string, string>>;
}): string {
  const merged = { ...DEFAULTS, fsync: settings.durable ? "on" : "off", ...settings.own };
  const lines = Object.entries(merged).map(([name, value]) => `${name} = ${quote(name, value)}\n`);
  return `\n${lines.join("")}`;
}

function quote(name: string, value: string): string {
  if (!/^[a-z_][\w.]*$/i.test(name) || /[\r\n\0]/.test(value)) {
    throw new FirnlineError({
      code: "E_INPUT",
      subject: `setting ${name}`,
      problem: "it is not a line of postgresql.conf",
      hint: "Give the name of a setting and a value of one line",
    });
  }
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
