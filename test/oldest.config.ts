/**
 * `npm run test:oldest`: the suites that hold the hazards once more, as they are, on the oldest server that Firnline works
 * on. `npm test` has each hazard on it too, in the short form of `test/hazards`.
 */
import { defineConfig } from "vitest/config";
import { HAZARDS } from "./hazards/hazards.ts";
import base from "./vitest.config.ts";

/** Those on servers of their own choice, or on none. */
const ELSEWHERE = /^(?:hazards|s3)\/|majors|doctor-server|describe-hazards/;

const files = Object.values(HAZARDS).flatMap(({ held }) => held.map(([file]) => file));
const include = [...new Set(files.filter((file) => !ELSEWHERE.test(file)))].map((file) => `test/${file}`);
const globalSetup = ["test/support/oldest-postgres.ts", ...(base.test?.globalSetup ?? [])];

export default defineConfig({ ...base, test: { ...base.test, include, globalSetup } });
