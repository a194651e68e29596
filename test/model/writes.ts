/** What the application may do next. `pick` counts the rows of the table, oldest first, and starts again at its end. */
import * as fc from "fast-check";
import { BILLING, DENIED } from "./terms.ts";

const ACTIONS = ["login", BILLING, DENIED] as const;
const COLUMNS = ["level", "amount", "note", "tag"] as const;
/** Times of day: several rows share one, and some stand at a day's very edges. */
const SPOTS = [
  "00:00:00",
  "00:00:00.000001",
  "06:30:00",
  "06:30:00.5",
  "18:00:00",
  "23:59:59.999999",
] as const;
const SCHEMA_CHANGES = [
  "add column",
  "add column with default",
  "drop column",
  "drop and add column",
  "rename column",
  "swap columns",
  "rename label",
  "widen column",
] as const;
export type SchemaChange = (typeof SCHEMA_CHANGES)[number];

const action = fc.constantFrom(...ACTIONS, "login");
const spot = fc.constantFrom(...SPOTS);
const rows = fc.integer({ min: 1, max: 4 });
const few = fc.integer({ min: 1, max: 2 });
const pick = fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 40 }));
const nth = fc.nat({ max: 20 });
/** From the last day that is due; what is moved to a later day stays. */
const day = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -3, max: 0 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }) },
);

const as = <Name extends string>(name: Name): { do: fc.Arbitrary<Name> } => ({ do: fc.constant(name) });

const insert = fc.record({ ...as("insert"), day, spot, rows, action });
const insertLate = fc.record({ ...as("insert late"), nth, spot, rows: few, action });
const update = fc.record({ ...as("update"), pick, rows: few, column: fc.constantFrom(...COLUMNS) });
const moveToRule = fc.record({ ...as("move to rule"), pick, rows: few, action });
const moveToDay = fc.record({ ...as("move to day"), pick, rows: few, day, spot });
const changeKey = fc.record({ ...as("change key"), pick });
const remove = fc.record({ ...as("delete"), pick, rows });
const replace = fc.record({ ...as("replace"), pick });
const useKeyAgain = fc.record({ ...as("use key again"), nth, isSame: fc.boolean() });
const changeSchema = fc.record({ ...as("change schema"), change: fc.constantFrom(...SCHEMA_CHANGES) });

export const write = fc.oneof(
  { weight: 5, arbitrary: insert },
  { weight: 3, arbitrary: insertLate },
  { weight: 4, arbitrary: update },
  { weight: 2, arbitrary: moveToRule },
  { weight: 2, arbitrary: moveToDay },
  { weight: 1, arbitrary: changeKey },
  { weight: 2, arbitrary: remove },
  { weight: 1, arbitrary: replace },
  { weight: 2, arbitrary: useKeyAgain },
  { weight: 1, arbitrary: changeSchema },
);
export type Write = typeof write extends fc.Arbitrary<infer W> ? W : never;

/** The oldest rows are the ones that a run has its hands on. */
const pickOldest = fc.nat({ max: 6 });
export const updateNearby = fc.record({
  ...as("update"),
  pick: fc.nat({ max: 2 }),
  rows,
  column: fc.constantFrom(...COLUMNS),
});
export const writeNearby = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      ...as("update"),
      pick: pickOldest,
      rows: few,
      column: fc.constantFrom(...COLUMNS),
    }),
  },
  { weight: 3, arbitrary: fc.record({ ...as("delete"), pick: pickOldest, rows }) },
  { weight: 2, arbitrary: fc.record({ ...as("move to rule"), pick: pickOldest, rows: few, action }) },
  { weight: 2, arbitrary: fc.record({ ...as("move to day"), pick: pickOldest, rows: few, day, spot }) },
  { weight: 1, arbitrary: fc.record({ ...as("change key"), pick: pickOldest }) },
  { weight: 1, arbitrary: fc.record({ ...as("replace"), pick: pickOldest }) },
  { weight: 3, arbitrary: insert },
  { weight: 1, arbitrary: insertLate },
  { weight: 1, arbitrary: useKeyAgain },
  { weight: 1, arbitrary: changeSchema },
);

export const dueRows = fc.array(
  fc.record({ ...as("insert"), day: fc.integer({ min: -2, max: 0 }), spot, rows, action }),
  {
    maxLength: 2,
    size: "max",
  },
);

/** The first rows of a history. */
export const firstRows = fc.array(insert, { minLength: 2, maxLength: 5 });
