/**
 * The contract of the archive port as one suite, run on every adapter: see `archive-file.test.ts`,
 * `archive-memory.test.ts` and `archive-s3-*.test.ts`. What only one adapter can show (fsync, symbolic links, killed processes) is
 * tested there.
 */
import { afterEach, beforeEach, describe, expect } from "vitest";

import { describeAddressing } from "./archive/addressing.ts";
import { describeColdClasses } from "./archive/cold-classes.ts";
import { describeColdStores } from "./archive/cold-stores.ts";
import { describeCreate } from "./archive/create.ts";
import { type ArchiveHarness, OWN_STORE, type StoreAbilities } from "./archive/harness.ts";
import { describeListing } from "./archive/listing.ts";
import { describeLocks } from "./archive/locks.ts";
import { describeRead } from "./archive/read.ts";

/**
 * Declares the whole suite for one adapter. `makeHarness` is called for each test and gives an empty archive.
 */
export function describeArchive(
  name: string,
  makeHarness: () => Promise<ArchiveHarness>,
  can: StoreAbilities = OWN_STORE,
): void {
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
    describeRead(subject, can);
    describeListing(subject, can);
    if (can.restores === "in time") describeColdClasses(subject);
    else describeColdStores(subject, can);
    describeLocks(subject, can);
    describeAddressing(subject);
  });
}
