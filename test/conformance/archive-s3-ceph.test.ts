/** The archive in buckets of Ceph radosgw under the contract. */
import { describeBuckets } from "./archive/s3-suite.ts";

await describeBuckets("ceph");
