/**
 * The contract of the archive port as one suite, run on every adapter: see `archive-file.test.ts` and
 * `archive-memory.test.ts`. What only one adapter can show (fsync, symbolic links, killed processes) is
 * tested there.
 */
import { afterEach, beforeEach, describe, expect } from "vitest";

import { describeAddressing } from "./archive/addressing.ts";
import { describeColdClasses } from "./archive/cold-classes.ts";
import { describeCreate } from "./archive/create.ts";
import type { ArchiveHarness } from "./archive/harness.ts";
import { describeListing } from "./archive/listing.ts";
import { describeRead } from "./archive/read.ts";

/**
 * Declares the whole suite for one adapter. `makeHarness` is called for each test and gives an empty archive.
 */
export function describeArchive(name: string, makeHarness: () => Promise<ArchiveHarness>): void {
  describe(`archive: ${name}`, () => {
    let harness: ArchiveHarness;
    const subject = (): ArchiveHarness => harness;

    beforeEach(async () => {
      harness = await makeHarness();
    });
    afterEach(async () => {
      expect((await harness.leftovers?.()) ?? []).toEqual([]);
      expect(harness.openHandles?.() ?? 0).toBe(0);
      await harness.dispose();
    });

    describeCreate(subject);
    describeRead(subject);
    describeListing(subject);
    describeColdClasses(subject);
    describeAddressing(subject);
  });
}
