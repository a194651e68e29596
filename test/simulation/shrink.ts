/**
 * The shortest part of a story that fails in the same way: steps, processes, writes and faults are left out as long as it
 * does. Each step brings its own chance, so that what is left of it goes on as before.
 */
import type { Actor, Step, Story } from "./steps.ts";

/** `fails` plays a story and says whether it fails as the first one did. Ends after `msMax` at the latest. */
export async function shrink(
  story: Story,
  fails: (story: Story) => Promise<boolean>,
  msMax: number,
): Promise<Story> {
  const deadline = performance.now() + msMax;
  let best = story;
  const without = async <T>(
    list: readonly T[],
    tell: (list: readonly T[]) => Story,
    least = 0,
  ): Promise<void> => {
    let left = list;
    for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < left.length && performance.now() < deadline;) {
        const fewer = left.toSpliced(at, size);
        const shorter = tell(fewer);
        if (fewer.length >= least && (await fails(shorter))) [left, best] = [fewer, shorter];
        else at += size;
      }
    }
  };
  await without(best.steps, (steps) => ({ ...best, steps }));
  await without(best.rows, (rows) => ({ ...best, rows }));
  for (let at = 0; at < best.steps.length; at += 1) {
    const step = best.steps[at] as Step;
    if (step.step !== "play") continue;
    await without(step.actors, (actors) => withStep(best, at, { ...step, actors }), 1);
    const { actors } = best.steps[at] as typeof step;
    for (let who = 0; who < actors.length; who += 1) {
      const put = (actor: Actor): Story => {
        const now = best.steps[at] as typeof step;
        return withStep(best, at, { ...now, actors: now.actors.with(who, actor) });
      };
      const actor = actors[who] as Actor;
      if ("faults" in actor) await without(actor.faults, (faults) => put({ ...actor, faults }));
      else await without(actor.writes, (writes) => put({ ...actor, writes }));
    }
  }
  return best;
}

const withStep = (story: Story, at: number, step: Step): Story => ({
  ...story,
  steps: story.steps.with(at, step),
});
