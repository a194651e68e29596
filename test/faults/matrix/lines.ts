/** All 44 lines, in the order of their numbers. */
import type { FaultLine } from "./line.ts";
import { CLOCK_LINES } from "./lines-clock.ts";
import { CONNECTION_LINES } from "./lines-connection.ts";
import { CRASH_LINES } from "./lines-crash.ts";
import { DISK_LINES } from "./lines-disk.ts";
import { MODEL_LINES } from "./lines-model.ts";
import { PAUSED_LINES } from "./lines-paused.ts";
import { RESTORE_LINES } from "./lines-restore.ts";
import { SESSION_LINES } from "./lines-session.ts";
import { STORE_LINES } from "./lines-store.ts";

export const LINES: readonly FaultLine[] = [
  ...CRASH_LINES,
  ...PAUSED_LINES,
  ...CONNECTION_LINES,
  ...RESTORE_LINES,
  ...STORE_LINES,
  ...SESSION_LINES,
  ...DISK_LINES,
  ...CLOCK_LINES,
  ...MODEL_LINES,
].sort((a, b) => a.number - b.number);
