import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import LongFirst from "./support/long-first.ts";
import ClosingLineReporter from "./support/reporter.ts";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["test/**/*.test.ts"],
    // Asked for by name, see `apart.config.ts`.
    exclude: ["test/bench/**", "test/containers/**", "test/terraform/**"],
    globalSetup: ["test/support/global-setup.ts"],
    // Processes, not threads: tests set the working directory, the environment and signal handlers.
    pool: "forks",
    // One more than the two cores that there are at least: some suites mostly wait, for buckets or for locks.
    maxWorkers: 3,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    sequence: { sequencer: LongFirst },
    passWithNoTests: false,
    reporters: ["default", new ClosingLineReporter()],
  },
});
