/**
 * The order of test files: those first that take the better part of a minute, so that no worker is left alone with one at the end. vitest goes
 * by size where it does not know how long a file took, as in a clean checkout, and these are a few lines each.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

const LONG =
  /\/test\/(?:model\/histories-\d+|conformance\/archive-s3-\w+|cli\/demo|s3\/(?:transition|locks)|faults\/(?:crash-\w+|paused-run|connection))\.test\.ts$/;
const isLong = ({ moduleId }: Pick<TestSpecification, "moduleId">): boolean => LONG.test(moduleId);

export default class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return longFirst(await super.sort(files));
  }
}

/** Else as they were. */
export function longFirst<File extends Pick<TestSpecification, "moduleId">>(files: readonly File[]): File[] {
  return [...files.filter(isLong), ...files.filter((file) => !isLong(file))];
}
