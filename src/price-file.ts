/**
 * Price lists are data: the built-in one stands beside the planner, and a file of the owner's replaces it, or the prices
 * that it names. Read and checked here, so that the planner has numbers that it can trust.
 */
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { FirnlineError, FirnlineErrors } from "./errors.ts";
import { BUILT_IN, type Money, type PriceList, RESTORE_TIERS } from "./plan/cost.ts";
import type { PolicyArchive } from "./policy/policy.ts";
import { shown } from "./policy/readers/reading.ts";
import { STORAGE_CLASSES } from "./policy/schema.ts";

const FILE_BYTES_MAX = 64 * 1024;
/** More than that helps nobody. */
const FINDINGS_MAX = 10;
/** Dearer than this a month is a slip of the pen. */
const PRICE_MAX = 1_000_000;
const BILLIONTHS = 1e9;

/** In the list's currency, to a billionth. */
const price = z
  .number()
  .min(0)
  .max(PRICE_MAX)
  .transform((value): Money => BigInt(Math.round(value * BILLIONTHS)));
const bytes = z
  .int()
  .min(0)
  .max(1024 * 1024 * 1024)
  .transform(BigInt);
const text = z.string().min(1).max(300);

const classPrices = z.strictObject({
  perGbMonth: price,
  perThousandWrites: price,
  perThousandReads: price,
  perThousandTransitions: price,
  perThousandObjectsMonth: price,
  perGbRead: price,
  daysMin: z.int().min(0).max(3_650),
  objectBytesMin: bytes,
  overheadBytes: bytes,
  overheadStandardBytes: bytes,
  restores: z.partialRecord(
    z.enum(RESTORE_TIERS),
    z.strictObject({
      perGb: price,
      perThousandRequests: price,
      minutesMax: z.int().min(1).max(43_200),
    }),
  ),
});

const priceList = z.strictObject({
  source: text,
  date: text,
  region: text,
  currency: z.string().regex(/^[A-Z]{3}$/),
  hot: z.strictObject({ what: text, perGbMonth: price }),
  classes: z.strictObject(
    Object.fromEntries(STORAGE_CLASSES.map((name) => [name, classPrices])) as Record<
      (typeof STORAGE_CLASSES)[number],
      typeof classPrices
    >,
  ),
});

type Json = Readonly<Record<string, unknown>>;

const BUILT_IN_FILE = fileURLToPath(new URL("./plan/prices.json", import.meta.url));
const BUILT_IN_LIST = JSON.parse(readFileSync(BUILT_IN_FILE, "utf8")) as Json;

/** List prices of S3 and of a disk for Postgres; the file says of which region and date, and from where. */
export function builtInPrices(): PriceList {
  return { ...priceList.parse(BUILT_IN_LIST), origin: BUILT_IN };
}

/**
 * What an archive is paid by: the owner's prices, whatever it is; the built-in ones where it is S3 at AWS. Null for a
 * folder and for another store, as nobody knows here what they cost.
 */
export function pricesOf(archive: PolicyArchive, own: PriceList | null): PriceList | null {
  if (own !== null) return own;
  return archive.url.startsWith("s3:") && archive.endpoint === null ? builtInPrices() : null;
}

/**
 * A file of the same form as the built-in list. What it leaves out is the built-in price, unless it is in another
 * currency: then it must be whole. Throws `E_INPUT`.
 */
export async function readPrices(path: string): Promise<PriceList> {
  const own = parse(path, await read(path));
  const isSameCurrency = own["currency"] === undefined || own["currency"] === BUILT_IN_LIST["currency"];
  const merged = isSameCurrency ? merge(BUILT_IN_LIST, own) : own;
  const result = priceList.safeParse(merged);
  if (result.success) return { ...result.data, origin: path };
  const hint = isSameCurrency
    ? `Write only what differs from the built-in list, in its form; it is ${BUILT_IN_FILE}`
    : `A list in another currency needs every price of the built-in one, which is ${BUILT_IN_FILE}`;
  const errors = result.error.issues
    .slice(0, FINDINGS_MAX)
    .map((issue) => inputError(`${path} ${issue.path.join(".")}`.trim(), problemOf(issue), hint));
  throw new FirnlineErrors(errors);
}

function problemOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    return `there is no price of that name (found ${shown(issue.keys.join(", "))})`;
  }
  if (issue.message.endsWith("received undefined")) return "it is missing";
  return `it cannot be used (${issue.message.replace(/^Invalid input: /, "")})`;
}

async function read(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead <= FILE_BYTES_MAX) return buffer.toString("utf8", 0, bytesRead);
  } catch (cause) {
    throw inputError(
      path,
      `the price list cannot be read (${(cause as Error).message})`,
      "Check the path",
      cause,
    );
  }
  throw inputError(path, `it is larger than ${FILE_BYTES_MAX} bytes`, "Is it a price list");
}

function parse(path: string, content: string): Json {
  try {
    const value: unknown = JSON.parse(content);
    if (isObject(value)) return value;
  } catch {
    // Said below, without the file's words: they may be anything.
  }
  throw inputError(path, "it is not a JSON object", 'Write { "hot": { "perGbMonth": 0.115 } }, for example');
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Objects are merged key by key; everything else is replaced. */
function merge(base: Json, changes: Json): Json {
  const merged = Object.entries(changes).map(([key, value]) => {
    const before = Object.hasOwn(base, key) ? base[key] : undefined;
    return [key, isObject(before) && isObject(value) ? merge(before, value) : value];
  });
  return { ...base, ...Object.fromEntries(merged) };
}

function inputError(subject: string, problem: string, hint: string, cause?: unknown): FirnlineError {
  return new FirnlineError({ code: "E_INPUT", subject, problem, hint, cause });
}
