/** Where clients of stores may connect to: nothing that resolves to where machines keep credentials of their own. */
import { expect, test } from "vitest";
import { guardedLookup } from "../../../src/archive/guarded-lookup.ts";

const lookUp = async (name: string, all: boolean): Promise<unknown> =>
  await new Promise((resolve, reject) => {
    guardedLookup(name, { all }, (error, address, family) => {
      if (error) reject(error);
      else resolve(all ? address : { address, family });
    });
  });

test.each([true, false])("a name of this host is looked up (all addresses: %s)", async (all) => {
  const found = JSON.stringify(await lookUp("localhost", all));
  expect(found).toMatch(/127\.0\.0\.1|::1/);
});

test.each(["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254"])(
  "what leads to a link-local address is refused: %s",
  async (address) => {
    await expect(lookUp(address, true)).rejects.toThrow(/link-local/);
    await expect(lookUp(address, false)).rejects.toThrow(/link-local/);
  },
);
