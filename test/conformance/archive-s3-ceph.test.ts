/**
 * The archive in buckets of Ceph radosgw under the contract. Buckets with versions alone are moto's to show: those with locks
 * keep versions too, and here each write to one of either takes its time.
 */
import { describeBuckets } from "./archive/s3-suite.ts";

await describeBuckets("ceph", ({ versioned = false }) => !versioned);
