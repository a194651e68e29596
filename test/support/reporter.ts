/**
 * Closes a test run with the skipped tests, each with its reason, and a last line that a script can read:
 *
 *     128 passed, 0 failed, 1 skipped
 *
 * `failed` is 0 only on a green run: besides tests it counts suites and files that failed to load or whose hooks
 * threw, unhandled errors, an interrupted run, and a run in which no test was executed. The line is printed when the
 * process exits, since vitest may still fail after its last report. Where S3 suites ran, the table of what the servers
 * were seen to do stands above it.
 *
 * With `{ requiresAll: true }` a skipped test is a failed one, whatever its reason: of a run that was asked for by name
 * nothing may be left out unseen. Only tests that the caller left out by `-t` stay skipped.
 */
import type { SerializedError } from "vitest";
import type { Reporter, TestCase, TestModule, TestRunEndReason, TestSuite, Vitest } from "vitest/node";
import { type Seen, tableOf } from "./s3-table.ts";

const NO_REASON = "NO REASON GIVEN";
const LEFT_OUT = "left out by -t";

export interface ReporterOptions {
  /** Counts what is skipped as failed. */
  readonly requiresAll?: boolean;
}

interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  /** What was counted as failed without being a test. */
  readonly faults: readonly string[];
  /** What tests that passed saw of S3 servers. */
  readonly seen: readonly Seen[];
}

interface RunEnd {
  readonly modules: readonly TestModule[];
  readonly unhandledErrors: readonly Pick<SerializedError, "message">[];
  readonly reason: TestRunEndReason;
  /** The pattern of `-t`; tests that it leaves out are not reported one by one. */
  readonly namePattern?: RegExp | undefined;
}

function tally(run: RunEnd): Tally {
  let passed = 0;
  let failed = 0;
  const skipped: { name: string; reason: string }[] = [];
  const faults: string[] = [];
  const seen: Seen[] = [];

  for (const module of run.modules) {
    for (const suite of [module, ...module.children.allSuites()]) {
      for (const error of suite.errors()) faults.push(`${nameOf(suite)}: ${error.message}`);
    }
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === "passed") {
        passed += 1;
        seen.push(...(test.meta().s3 ?? []));
      } else if (result.state === "failed") failed += 1;
      else if (result.state === "pending") faults.push(`${nameOf(test)}: it did not end`);
      else skipped.push({ name: nameOf(test), reason: result.note ?? reasonOf(test, run.namePattern) });
    }
  }
  for (const error of run.unhandledErrors) faults.push(`unhandled error: ${error.message}`);
  if (run.reason === "interrupted") faults.push("the run was interrupted");
  if (passed + failed + faults.length === 0) faults.push("no test was executed");
  if (run.reason === "failed" && failed + faults.length === 0) faults.push("the run failed as a whole");
  return { passed, failed: failed + faults.length, skipped, faults, seen };
}

/** The lines to print for a run, the closing one last. */
function closingLines(result: Tally): string[] {
  const told = result.skipped.filter(({ reason }) => reason !== LEFT_OUT);
  const leftOut = result.skipped.length - told.length;
  const count = `${result.passed} passed, ${result.failed} failed, ${result.skipped.length} skipped`;
  const table = tableOf(result.seen);
  return [
    ...(table.length === 0 ? [] : [...table, ""]),
    ...result.faults.map((fault) => `FAILED ${fault.split("\n")[0]}`),
    ...(leftOut === 0 ? [] : [`skipped ${leftOut} tests: ${LEFT_OUT}`]),
    ...told.map(({ name, reason }) => `skipped ${name}: ${reason}`),
    count,
  ];
}

/** The same tally with each skip as a failure that says why. */
function withoutSkips(result: Tally): Tally {
  const isLeftOut = ({ reason }: Tally["skipped"][number]): boolean => reason === LEFT_OUT;
  const skips = result.skipped.filter((one) => !isLeftOut(one));
  return {
    ...result,
    failed: result.failed + skips.length,
    skipped: result.skipped.filter(isLeftOut),
    faults: [
      ...result.faults,
      ...skips.map(({ name, reason }) => `${name}: skipped, which this run does not allow: ${reason}`),
    ],
  };
}

export default class ClosingLineReporter implements Reporter {
  readonly #requiresAll: boolean;
  #vitest: Vitest | undefined;
  #result: Tally | undefined;

  constructor({ requiresAll = false }: ReporterOptions = {}) {
    this.#requiresAll = requiresAll;
  }

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
    process.once("exit", (code) => this.#close(code));
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    const namePattern = this.#vitest?.config.testNamePattern;
    const result = tally({ modules, unhandledErrors, reason, namePattern });
    this.#result = this.#requiresAll ? withoutSkips(result) : result;
  }

  #close(code: number): void {
    let result = this.#result ?? tally({ modules: [], unhandledErrors: [], reason: "passed" });
    if (code !== 0 && result.failed === 0) {
      result = { ...result, failed: 1, faults: [`the test runner ended with exit code ${code}`] };
    }
    if (result.failed > 0 && code === 0) process.exitCode = 1;
    process.stdout.write(`\n${closingLines(result).join("\n")}\n`);
  }
}

function reasonOf(test: TestCase, namePattern: RegExp | undefined): string {
  if (suitesAbove(test).some((suite) => suite.errors().length > 0)) return "its suite failed";
  if (test.options.mode === "todo") return "to be written";
  // vitest matches -t against the names of the suites and the test, joined by blanks.
  const names = [...suitesAbove(test).filter(isSuite), test].map((task) => task.name);
  if (namePattern !== undefined && !namePattern.test(names.join(" "))) return LEFT_OUT;
  // `test.skip` takes no note, so its reason stands in the title: "reads a D1 export // needs wrangler".
  const reasons = names.map((name) => /\/\/ (.+)$/.exec(name)?.[1]);
  return reasons.findLast((reason) => reason !== undefined) ?? NO_REASON;
}

/** Innermost last. */
function suitesAbove(test: TestCase): (TestSuite | TestModule)[] {
  const above: (TestSuite | TestModule)[] = [];
  let place = test.parent;
  while (isSuite(place)) {
    above.unshift(place);
    place = place.parent;
  }
  return [place, ...above];
}

function isSuite(place: TestSuite | TestModule): place is TestSuite {
  return place.type === "suite";
}

function nameOf(task: TestCase | TestSuite | TestModule): string {
  return task.type === "module"
    ? task.relativeModuleId
    : `${task.module.relativeModuleId} > ${task.fullName}`;
}
