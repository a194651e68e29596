/**
 * hyparquet-writer behind Firnline's own reader of COPY BINARY: Parquet with ZSTD, one file a day; no digests, no catalog, and
 * nothing deleted. What separates it from `firnline.export` is the encoder.
 */
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { readSettings } from "../../../src/config.ts";
import type { Policy } from "../../../src/policy/policy.ts";
import { parsePolicy } from "../../../src/policy/policy.ts";
import { newHyparquetEncoder } from "../../support/hyparquet-encoder.ts";
import type { RawRows } from "../../../src/rows/copy-binary.ts";
import type { DayUtc } from "../../../src/rows/day.ts";
import { wire } from "../../../src/wiring.ts";
import { parquetBytes } from "./archive-bytes.ts";
import { work } from "./child.ts";

interface Job {
  readonly url: string;
  readonly policy: string;
  readonly folder: string;
}

const ROW_GROUP_ROWS = 20_000;
const LAST_DAY = 30_000 as DayUtc;

await work<Job>(({ url, policy: text, folder }) => {
  const policy: Policy = parsePolicy(text, "bench.yaml");
  const settings = readSettings({});
  mkdirSync(folder, { recursive: true });
  return async () => {
    await using wired = wire({ policy, connectionString: url, settings });
    const { hot } = wired.environment;
    const source = await hot.describe();
    let rows = 0;
    for (const partition of (await hot.inventory(source, LAST_DAY)).partitions) {
      await hot.exportPartition(source, partition, settings.limits.chunk, async ({ chunks }) => {
        const encoder = newHyparquetEncoder(source.columns, {});
        const file = createWriteStream(join(folder, `${partition.day}.parquet`));
        const write = async (bytes: Uint8Array): Promise<void> => {
          if (!file.write(bytes)) await once(file, "drain");
        };
        let group: RawRows[] = [];
        let groupRows = 0;
        const flush = async (): Promise<void> => {
          if (group.length > 0) await write((await encoder.rowGroup(group)).bytes);
          [group, groupRows] = [[], 0];
        };
        for await (const { rows: chunk } of chunks) {
          if (groupRows + chunk.rows > ROW_GROUP_ROWS) await flush();
          group.push(chunk);
          groupRows += chunk.rows;
          rows += chunk.rows;
        }
        await flush();
        await write(await encoder.finish());
        file.end();
        await finished(file);
      });
    }
    return { rows, bytes: parquetBytes(folder) };
  };
});
