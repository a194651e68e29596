/** The archive in buckets of moto under the contract. */
import { describeBuckets } from "./archive/s3-suite.ts";

await describeBuckets("moto");
