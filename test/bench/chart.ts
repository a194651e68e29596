/**
 * The table as a picture: bars of rows a second, in plain SVG. Colours follow the reader's light or dark setting; figures
 * stand beside the bars, so that none has to be read off.
 */
import type { Result } from "./result.ts";

const WIDTH = 900;
const LABEL_WIDTH = 190;
const FIGURE_WIDTH = 270;
const BAR_WIDTH = WIDTH - LABEL_WIDTH - FIGURE_WIDTH;
const ROW = 26;
const BAR = 16;
const HEAD = 64;

interface Group {
  readonly title: string;
  readonly isComparedToFloor: boolean;
  /** Prefixes of cases. */
  readonly cases: readonly string[];
}

/** In the order of the picture; a case is in the first one that takes it. */
const GROUPS: readonly Group[] = [
  { title: "The floor: one backend's COPY BINARY", isComparedToFloor: true, cases: ["floor."] },
  {
    title: "Export to compressed files",
    isComparedToFloor: true,
    cases: ["firnline.export", "peer.hyparquet-writer", "peer.dsnp-parquetjs", "peer.parquetjs-lite"],
  },
  {
    title: "Export and delete; Firnline reads back and compares before it deletes, peers do not",
    isComparedToFloor: true,
    cases: ["firnline.move", "peer.duckdb", "peer.select-json-gzip"],
  },
  { title: "Delete alone", isComparedToFloor: false, cases: ["firnline.prune", "plain.delete"] },
  {
    title: "Retrieve a day as NDJSON",
    isComparedToFloor: false,
    cases: ["retrieve.day", "peer.duckdb-day"],
  },
];

const groupOf = (name: string): Group | undefined =>
  GROUPS.find(({ cases }) => cases.includes(name)) ??
  GROUPS.find(({ cases }) => cases.some((prefix) => name.startsWith(prefix)));

const LEGEND = [
  { colour: "firnline", label: "Firnline" },
  { colour: "peer", label: "peers" },
  { colour: "floor", label: "Postgres alone" },
] as const;

const STYLE = `
    text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328;
           paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
    .title { font-size: 16px; font-weight: 600; }
    .group { font-weight: 600; }
    .muted { fill: #59636e; }
    .background { fill: #ffffff; }
    .floor { fill: #8c959f; }
    .firnline { fill: #0969da; }
    .peer { fill: #bc4c00; }
    .line { stroke: #d1d9e0; stroke-dasharray: 3 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; stroke: #0d1117; }
      .muted { fill: #9198a1; }
      .background { fill: #0d1117; }
      .floor { fill: #656c76; }
      .firnline { fill: #4493f8; }
      .peer { fill: #db6d28; }
      .line { stroke: #3d444d; }
    }`;

/** All cases that have rows a second. `about` is the line below the title: how it was measured. */
export function drawChart(results: readonly Result[], about: string): string {
  const bars = results.filter(({ rowsPerSecond }) => rowsPerSecond !== null);
  const most = Math.max(1, ...bars.map(({ rowsPerSecond }) => rowsPerSecond ?? 0));
  const shapes: string[] = [];
  let y = HEAD;
  let lineEnd = y;
  for (const group of GROUPS) {
    const members = bars.filter((one) => groupOf(one.case) === group);
    if (members.length === 0) continue;
    shapes.push(text(16, y + 15, group.title, "group"));
    y += ROW;
    for (const member of members) {
      shapes.push(...bar(member, y, most, group.isComparedToFloor));
      y += ROW;
    }
    if (group.isComparedToFloor) lineEnd = y;
    y += ROW / 3;
  }
  const height = Math.round(y + 12);
  const floor = results.find((result) => result.case === "floor.copy-zstd")?.rowsPerSecond ?? null;
  const line = floor === null ? [] : [floorLine(floor / most, lineEnd)];
  const head = [text(16, 28, "Rows a second", "title"), text(16, 48, about, "muted"), ...legend()];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Rows a second of Firnline, of Postgres alone and of peers">
  <style>${STYLE}
  </style>
  <rect class="background" width="${WIDTH}" height="${height}" rx="6"/>
  ${[...head, ...line, ...shapes].join("\n  ")}
</svg>
`;
}

function legend(): string[] {
  return LEGEND.flatMap(({ colour, label }, index) => {
    const x = WIDTH - 330 + index * 95;
    return [
      `<rect class="${colour}" x="${x}" y="17" width="12" height="12" rx="2"/>`,
      text(x + 18, 28, label, "muted"),
    ];
  });
}

function bar(result: Result, y: number, most: number, isComparedToFloor: boolean): string[] {
  const rowsPerSecond = result.rowsPerSecond ?? 0;
  const width = Math.max(1, Math.round((rowsPerSecond / most) * BAR_WIDTH));
  const ratio =
    result.ratioToFloor === null || !isComparedToFloor
      ? ""
      : `, ${result.ratioToFloor.toFixed(2)} of the floor`;
  const memory = `, ${Math.round(result.peakRssBytes / 1e6)} MB`;
  const figures = `${rowsPerSecond.toLocaleString("en")}${ratio}${memory}`;
  return [
    text(LABEL_WIDTH - 8, y + 13, result.case, "", "end"),
    `<rect class="${colourOf(result.case)}" x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR}" rx="2"/>`,
    text(LABEL_WIDTH + width + 8, y + 13, figures, "muted"),
  ];
}

function colourOf(name: string): (typeof LEGEND)[number]["colour"] {
  if (name.startsWith("peer.")) return "peer";
  return name.startsWith("floor.") || name.startsWith("plain.") ? "floor" : "firnline";
}

function floorLine(share: number, end: number): string {
  const x = LABEL_WIDTH + Math.round(share * BAR_WIDTH);
  return `<line class="line" x1="${x}" x2="${x}" y1="${HEAD}" y2="${end}"/>`;
}

function text(x: number, y: number, content: string, kind: string, anchor = "start"): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x}" y="${y}" text-anchor="${anchor}"${kind === "" ? "" : ` class="${kind}"`}>${escaped}</text>`;
}
