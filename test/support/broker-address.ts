/** Where the servers of a test run are asked for. The run's processes inherit it; see `broker.ts`. */
export const BROKER_ADDRESS = "FIRNLINE_TEST_BROKER";

/** The address of `postgres`, `migrated`, or of `s3/NAME`; throws where no run has begun. */
export function brokerAddress(path: string): string {
  const address = process.env[BROKER_ADDRESS];
  if (address === undefined) throw new Error(`no test run has begun: ${BROKER_ADDRESS} is not set`);
  return `${address}/${path}`;
}

/** Whether a run has begun in this process, or in one that it belongs to. */
export const hasBroker = (): boolean => process.env[BROKER_ADDRESS] !== undefined;
