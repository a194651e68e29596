/** `npm run test:s3`: every suite that needs an S3 server. A server that is not to be had is a failure here, not a skip. */
import { defineConfig } from "vitest/config";
import ClosingLineReporter from "./support/reporter.ts";
import base from "./vitest.config.ts";

const include = ["test/s3/**/*.test.ts", "test/conformance/archive-s3-*.test.ts"];
const reporters = ["default" as const, new ClosingLineReporter({ requiresAll: true })];

export default defineConfig({ ...base, test: { ...base.test, include, reporters } });
