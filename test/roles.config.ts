/**
 * `npm run test:roles`: suites of the main path with the roles of `infra/roles.sql` in the place of a superuser, each command
 * with its own. Not those that rebuild a catalog, which is the administrator's, or make partitions as somebody else.
 */
import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

const include = [
  "test/postgres/flow-{damage,drift,estimate,keys,plan,rules,time}.test.ts",
  "test/postgres/partitions-{drop,rows,drift}.test.ts",
  "test/postgres/retrieve{,-where}.test.ts",
  "test/postgres/two-runners.test.ts",
  "test/faults/crash-error.test.ts",
  "test/cli/{exit-codes,restores}.test.ts",
];

export default defineConfig({ ...base, test: { ...base.test, include, env: { FIRNLINE_TEST_ROLES: "1" } } });
