/**
 * Suites that need what a machine may not have, and that are asked for by name: `npm run test:terraform`,
 * `npm run test:containers`. What they need and do not find is a failure with the reason, not a skip.
 */
import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

const include = ["test/terraform/**/*.test.ts", "test/containers/**/*.test.ts"];

export default defineConfig({ ...base, test: { ...base.test, include, exclude: [], globalSetup: [] } });
