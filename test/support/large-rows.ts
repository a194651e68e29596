/** Rows that make a segment of several parts: what cannot be compressed, some 8 MiB of Parquet. */

/** Parts of 5 MiB are begun in the middle of one segment. */
export const LARGE = {
  FIRNLINE_CHUNK_ROWS: "1000",
  FIRNLINE_ROW_GROUP_ROWS: "1000",
  FIRNLINE_SEGMENT_MIB: "64",
  FIRNLINE_PRUNE_CHUNKS: "16",
  FIRNLINE_S3_PART_MIB: "5",
};
export const LARGE_ROWS = 6_000;

export const largeRows = (day: string): string =>
  `SELECT n, '${day} 00:00:00+00'::timestamptz + n * interval '10 seconds', 'login',
     (SELECT string_agg(md5(n || '-' || i), '') FROM generate_series(1, 80) i), NULL::jsonb
   FROM generate_series(1, ${LARGE_ROWS}) n`;
