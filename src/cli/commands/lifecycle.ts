/** firnline lifecycle print | check | apply */
import { applyRules, type BucketRules, checkRules } from "../../archive/bucket-rules.ts";
import { bucketOf, lifecycleRules } from "../../plan/lifecycle-rules.ts";
import { nearest } from "../../policy/findings.ts";
import type { Policy } from "../../policy/policy.ts";
import { shown } from "../../policy/readers/reading.ts";
import { openBucketRules, systemClock } from "../../wiring.ts";
import { usageError } from "../arguments.ts";
import { type Command, type CommandContext, EXIT, type ExitCode } from "../command.ts";
import { applyJson, applyText, checkJson, checkText } from "../lifecycle-text.ts";
import { FOLDER_OPTION, readPolicies, worstOf } from "../pipelines.ts";

const SEE = "See `firnline lifecycle --help`";
const ACTIONS = ["print", "check", "apply"];

/** The pipelines whose archives are in one bucket. */
interface Shared {
  readonly url: string;
  readonly policies: [Policy, ...Policy[]];
}

export const lifecycle: Command = {
  name: "lifecycle",
  arguments: "print|check|apply [PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: false,
  summary: "the bucket's rules that move tagged objects to their cold class",
  details:
    "`print` writes them as S3's own JSON, for `infra/terraform` or the AWS CLI. `check` compares them\n" +
    "with the bucket, rule by rule, and finds rules of others that would delete or move our objects; it\n" +
    "ends with 1 if there is anything. `apply` says what it would change, changes that with --yes, leaves\n" +
    "all other rules as they are, and reads back. It ends with 3 where rules of others are in the way.\n" +
    "Our rules move what Firnline has tagged and end abandoned uploads. They never delete an object.",
  examples: [
    "firnline lifecycle print > infra/terraform/lifecycle.json",
    "firnline lifecycle check audit-logs",
    "firnline lifecycle apply audit-logs --yes",
  ],
  options: {
    folder: FOLDER_OPTION,
    yes: { type: "boolean", help: "apply: write the rules" },
  },
  async run(context) {
    const [action, ...positionals] = context.positionals;
    if (action === undefined || !ACTIONS.includes(action)) throw noAction(action);
    if (action !== "apply" && context.options["yes"] === true) {
      throw usageError(`firnline lifecycle ${action}`, "it writes nothing, so it takes no --yes", SEE);
    }
    const buckets = bucketsOf(await readPolicies({ ...context, positionals }), positionals.length > 0);
    if (action === "print") return print(context, buckets);
    const codes: ExitCode[] = [];
    for (const { policies, url } of buckets) {
      try {
        await using bucket = await openBucketRules(policies[0].archive, context.settings);
        codes.push(await (action === "check" ? check : apply)(context, bucket, policies));
      } catch (error) {
        codes.push(context.report(error, { pipeline: url, isOneOfMany: buckets.length > 1 }));
      }
    }
    return worstOf(codes);
  },
};

function print(context: CommandContext, [first, ...others]: readonly Shared[]): ExitCode {
  if (first === undefined || others.length > 0) {
    const found = [first, ...others].map((one) => one?.url).join(", ");
    const problem = `a bucket has one set of rules, and these pipelines are in several (found ${found})`;
    throw usageError("firnline lifecycle print", problem, "Name the pipelines of one bucket");
  }
  const configuration = { Rules: lifecycleRules(first.policies) };
  context.print(context.json ? JSON.stringify(configuration) : JSON.stringify(configuration, null, 2));
  return EXIT.done;
}

async function check(
  context: CommandContext,
  bucket: BucketRules,
  policies: readonly Policy[],
): Promise<ExitCode> {
  const drift = await checkRules(bucket, policies);
  for (const line of (context.json ? checkJson : checkText)(bucket.url, drift)) context.print(line);
  return drift.rules.length + drift.foreign.length > 0 ? EXIT.failed : EXIT.done;
}

async function apply(
  context: CommandContext,
  bucket: BucketRules,
  policies: readonly Policy[],
): Promise<ExitCode> {
  const isConfirmed = context.options["yes"] === true;
  const applied = await applyRules(bucket, { policies, isConfirmed, sleep: systemClock.sleep });
  for (const line of (context.json ? applyJson : applyText)(bucket.url, applied)) context.print(line);
  if (applied.drift.rules.length > 0 && !isConfirmed) return EXIT.usage;
  return applied.drift.foreign.length > 0 ? EXIT.partly : EXIT.done;
}

/** By bucket and endpoint, in the order of their first pipelines. Folders have no rules. */
function bucketsOf(policies: readonly Policy[], areNamed: boolean): Shared[] {
  const folders = policies.filter(({ archive }) => bucketOf(archive) === null);
  const buckets = new Map<string, Shared>();
  for (const policy of policies) {
    const bucket = bucketOf(policy.archive)?.bucket;
    if (bucket === undefined) continue;
    const key = `${policy.archive.endpoint ?? ""} ${bucket}`;
    const shared = buckets.get(key);
    if (shared === undefined) buckets.set(key, { url: `s3://${bucket}`, policies: [policy] });
    else shared.policies.push(policy);
  }
  if (folders.length > 0 && (areNamed || buckets.size === 0)) {
    const names = folders.map(({ pipeline }) => pipeline).join(", ");
    throw usageError(
      `pipeline ${names}`,
      "its archive is a folder, which has no lifecycle rules",
      "There is nothing to do: objects of a folder are moved by `firnline run` itself",
    );
  }
  return [...buckets.values()];
}

function noAction(action: string | undefined): Error {
  const problem =
    action === undefined ? "the action is missing" : `there is no such action (found ${shown(action)})`;
  const near = action === undefined ? null : nearest(action, ACTIONS);
  const hint =
    near === null
      ? `Write print, check or apply before the pipelines. ${SEE}`
      : `Did you mean ${near}? ${SEE}`;
  return usageError("firnline lifecycle", problem, hint);
}
