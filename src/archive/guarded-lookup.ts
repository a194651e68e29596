/** Resolves names for adapters that talk to stores, and refuses what no store has: link-local addresses. */
import { lookup as resolve } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

/** Where machines keep credentials of their own. The policy's reader refuses them as addresses; this refuses names. */
const linkLocal = new BlockList();
linkLocal.addSubnet("169.254.0.0", 16, "ipv4");
linkLocal.addSubnet("fe80::", 10, "ipv6");
linkLocal.addAddress("fd00:ec2::254", "ipv6");

export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    const forbidden = addresses?.find(({ address }) => isLinkLocal(address));
    if (error === null && forbidden !== undefined) {
      const refusal = new Error(`${hostname} is the link-local address ${forbidden.address}`);
      callback(Object.assign(refusal, { code: "ELINKLOCAL" }), "", 0);
    } else if (error !== null || options.all === true) {
      (callback as (error: Error | null, found: unknown) => void)(error, addresses);
    } else {
      const [first] = addresses;
      callback(null, first?.address ?? "", first?.family ?? 0);
    }
  });
};

function isLinkLocal(address: string): boolean {
  return linkLocal.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
