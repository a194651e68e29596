/** What may come next in a history, as plain data: made of a seed, told as JSON, left out one by one when a failure is shrunk. */
import { TERMS, type TermsName } from "../model/terms.ts";
import { Chance } from "./chance.ts";
import type { Fault } from "./scheduler.ts";
import type { Sizes } from "./world.ts";

/** Actions of rows: an ordinary one, one with a rule of its own, and one whose rows a delete-only rule takes. */
const ACTIONS = ["login", "login", "billing", "access_denied"] as const;
type Action = (typeof ACTIONS)[number];

/** Microseconds of a day: several rows share one, and some stand at a day's very edges. */
const SPOTS = ["0", "1", "23400000000", "23400500000", "64800000000", "86399999999"] as const;

/** `pick` counts rows of the table, oldest first, and starts again at the end. `day` counts from the last that is due. */
export type Write =
  | {
      readonly do: "insert";
      readonly day: number;
      readonly spot: string;
      readonly rows: number;
      readonly action: Action;
    }
  | { readonly do: "insert late"; readonly nth: number; readonly spot: string; readonly action: Action }
  | {
      readonly do: "update";
      readonly pick: number;
      readonly rows: number;
      readonly column: "note" | "amount";
    }
  | { readonly do: "delete"; readonly pick: number; readonly rows: number }
  | { readonly do: "change key"; readonly pick: number }
  | { readonly do: "move to rule"; readonly pick: number; readonly action: Action }
  | { readonly do: "move to day"; readonly pick: number; readonly day: number; readonly spot: string }
  | { readonly do: "use key again"; readonly nth: number; readonly isSame: boolean };

export interface Turn {
  /** Turns that it waits for first. */
  readonly after: number;
}

export type Actor = Turn &
  (
    | {
        readonly who: "run";
        readonly faults: readonly Fault[];
        /** Hours that its clock is off. */
        readonly clock: number;
        readonly retryQuarantined: boolean;
        /** Without `--confirm-sooner`. */
        readonly isUnconfirmed?: boolean;
      }
    | { readonly who: "retrieve"; readonly faults: readonly Fault[]; readonly range: Range }
    | { readonly who: "collect"; readonly faults: readonly Fault[] }
    | { readonly who: "rebuild"; readonly faults: readonly Fault[] }
    | {
        readonly who: "application";
        /** Each in its turn; all of them in one transaction if `isOne`. */
        readonly writes: readonly (Turn & { readonly write: Write })[];
        readonly isOne: boolean;
      }
  );

/** From the last day that is due, and so many days; null for everything. */
export type Range = { readonly from: number; readonly days: number } | null;

export type Step =
  | { readonly step: "wait"; readonly hours: number }
  | { readonly step: "terms"; readonly terms: TermsName }
  /** The database as it was after an earlier step, so many steps ago. */
  | { readonly step: "restore"; readonly back: number }
  | { readonly step: "lose the catalog" }
  | { readonly step: "play"; readonly seed: number; readonly actors: readonly Actor[] };

export interface Story {
  readonly seed: number;
  readonly sizes: Sizes;
  readonly rows: readonly Write[];
  readonly steps: readonly Step[];
}

const TERM_NAMES = (Object.keys(TERMS) as TermsName[]).filter((name) => name !== "leavesOnly");

export function storyOf(seed: number, stepsMax: number): Story {
  const chance = new Chance(seed);
  const sizes: Sizes = {
    chunkRows: chance.between(1, 3),
    rowGroupRows: chance.pick([3, 6, 100]),
    isSplit: chance.oneIn(3),
    pruneChunks: chance.between(1, 3),
    deleteRows: chance.between(1, 3),
    concurrency: chance.pick([1, 3]),
    isVersioned: chance.oneIn(2),
  };
  const rows = list(chance.between(3, 7), () => insert(chance));
  const steps = list(chance.between(3, stepsMax), () => step(chance));
  return { seed, sizes, rows, steps };
}

const list = <T>(length: number, item: () => T): T[] => Array.from({ length }, item);

function step(chance: Chance): Step {
  return chance.weigh<() => Step>([
    [14, () => ({ step: "play", seed: chance.next(), actors: actors(chance) })],
    [3, () => ({ step: "wait", hours: chance.pick([12, 24, 24, 48, 96, 24 * 15]) })],
    [1, () => ({ step: "terms", terms: chance.pick(TERM_NAMES) })],
    [1, () => ({ step: "restore", back: chance.between(1, 3) })],
    [1, () => ({ step: "lose the catalog" })],
  ])();
}

function actors(chance: Chance): Actor[] {
  const run = (): Actor => ({
    who: "run",
    after: chance.pick([0, 0, 5, 60, 200]),
    faults: chance.oneIn(2) ? list(chance.between(1, 2), () => fault(chance)) : [],
    clock: chance.weigh([
      [8, 0],
      [1, 48],
      [1, -48],
    ]),
    retryQuarantined: chance.oneIn(6),
  });
  const retrieve = (): Actor => ({
    who: "retrieve",
    after: chance.between(0, 150),
    faults: chance.oneIn(6) ? [fault(chance)] : [],
    range: chance.oneIn(2) ? null : { from: chance.between(-8, 4), days: chance.between(0, 5) },
  });
  const application = (): Actor => ({
    who: "application",
    after: chance.between(0, 60),
    writes: list(chance.between(1, 4), () => ({
      after: chance.pick([0, 0, 3, 20, 60]),
      write: write(chance),
    })),
    isOne: chance.oneIn(3),
  });
  const others = chance.weigh<(() => Actor)[]>([
    [4, []],
    [6, [application]],
    [3, [retrieve]],
    [3, [application, retrieve]],
    [1, [run]],
    [1, [run, application]],
    [1, [run, application, retrieve]],
    [1, [application, application]],
    [
      2,
      [
        (): Actor => ({
          who: "collect",
          after: chance.between(0, 80),
          faults: chance.oneIn(3) ? [fault(chance)] : [],
        }),
      ],
    ],
  ]);
  // One stands still, another takes its lease, and the first goes on.
  const zombie = (): Actor => ({
    who: "run",
    after: 0,
    faults: [
      {
        what: "freeze",
        at: chance.pick(["any", "statement", "commit", "create", "rows"] as const),
        nth: chance.between(1, chance.pick([10, 40, 200])),
        ms: chance.pick([40_000, 90_000, 300_000]),
      },
    ],
    clock: 0,
    retryQuarantined: false,
  });
  const heir = (): Actor => ({
    who: "run",
    after: chance.between(20, 200),
    faults: [],
    clock: 0,
    retryQuarantined: false,
  });
  const first = chance.weigh<(() => Actor)[]>([
    [18, [run]],
    [6, [zombie, heir]],
    [2, [retrieve]],
    [2, [application]],
  ]);
  return [...first, ...others].map((make) => make());
}

function fault(chance: Chance): Fault {
  const [at, most] = chance.weigh<readonly [Fault["at"], number]>([
    [4, ["any", 400]],
    [3, ["commit", 60]],
    [3, ["create", 20]],
    [2, ["statement", 150]],
    [1, ["rows", 40]],
    [1, ["read", 30]],
    [1, ["look", 20]],
    [1, ["change", 3]],
    [1, ["delete", 2]],
  ]);
  const nth = chance.between(1, most);
  return chance.weigh<() => Fault>([
    [4, () => ({ what: "crash", at, nth, after: chance.oneIn(2) })],
    [2, () => ({ what: "freeze", at, nth, ms: chance.pick([5_000, 40_000, 90_000, 300_000]) })],
    [2, () => ({ what: "fail", at, nth })],
    [3, () => ({ what: "lose", at, nth })],
    [at === "create" ? 3 : 0, () => ({ what: "damage", at, nth })],
    [2, () => ({ what: "late", at, nth, ms: chance.pick([10, 500, 5_000, 70_000]), dies: chance.oneIn(2) })],
  ])();
}

/** Most are due, or will be soon. */
const dayNear = (chance: Chance): number =>
  chance.weigh([
    [3, chance.between(-3, 0)],
    [1, chance.between(1, 3)],
  ]);

const insert = (chance: Chance): Write => ({
  do: "insert",
  day: dayNear(chance),
  spot: chance.pick(SPOTS),
  rows: chance.between(1, 4),
  action: chance.pick(ACTIONS),
});

function write(chance: Chance): Write {
  const pick = chance.oneIn(3) ? chance.below(40) : chance.below(6);
  const rows = chance.between(1, 2);
  const action = chance.pick(ACTIONS);
  const spot = chance.pick(SPOTS);
  const nth = chance.below(20);
  return chance.weigh<Write>([
    [5, insert(chance)],
    [3, { do: "insert late", nth, spot, action }],
    [4, { do: "update", pick, rows, column: chance.pick(["note", "amount"]) }],
    [3, { do: "delete", pick, rows }],
    [1, { do: "change key", pick }],
    [2, { do: "move to rule", pick, action }],
    [2, { do: "move to day", pick, day: dayNear(chance), spot }],
    [1, { do: "use key again", nth, isSame: chance.oneIn(2) }],
  ]);
}
