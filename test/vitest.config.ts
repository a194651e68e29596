import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
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
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    passWithNoTests: false,
    reporters: ["default", new ClosingLineReporter()],
  },
});
