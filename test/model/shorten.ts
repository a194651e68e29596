/**
 * The shortest part of a history that fails in the same way: steps, happenings and first rows are left out as long as it
 * does. fast-check's own shrinking keeps the order of a list's end; here it is a step in the middle that does not matter.
 */
import type { Beginning, Step } from "./steps.ts";
import type { Write } from "./writes.ts";

export interface Story {
  readonly beginning: Beginning;
  readonly steps: readonly Step[];
}

/** `fails` plays a story and says whether it fails as the first one did. Ends after `msMax` at the latest. */
export async function shorten(
  story: Story,
  fails: (story: Story) => Promise<boolean>,
  msMax: number,
): Promise<Story> {
  const deadline = performance.now() + msMax;
  const without = async <T>(
    list: readonly T[],
    tell: (list: readonly T[]) => Story,
    least = 0,
  ): Promise<readonly T[]> => {
    let left = list;
    for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < left.length && performance.now() < deadline;) {
        const fewer = left.toSpliced(at, size);
        if (fewer.length >= least && (await fails(tell(fewer)))) left = fewer;
        else at += size;
      }
    }
    return left;
  };
  let { beginning, steps } = story;
  steps = await without(steps, (fewer) => ({ beginning, steps: fewer }));
  const rows = await without(
    beginning.rows,
    (fewer) => ({ beginning: { ...beginning, rows: [...fewer] }, steps }),
    1,
  );
  beginning = { ...beginning, rows: [...rows] };
  for (const [index, step] of steps.entries()) {
    if (!("happenings" in step)) continue;
    const tell = (happenings: typeof step.happenings): Story => ({
      beginning,
      steps: steps.with(index, { ...step, happenings }),
    });
    steps = tell(await without(step.happenings, tell)).steps;
    const first = steps[index];
    if (first === undefined || !("before" in first)) continue;
    const tellRows = (before: readonly Write[]): Story => ({
      beginning,
      steps: steps.with(index, { ...first, before }),
    });
    steps = tellRows(await without(first.before, tellRows)).steps;
  }
  return { beginning, steps };
}
