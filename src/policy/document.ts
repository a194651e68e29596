/**
 * YAML text -> plain value, with the line of every key and value. Only plain YAML 1.2 is taken: one document,
 * no anchors, aliases, tags or directives, no key twice. What is refused here could make two readers see two
 * policies (`off` under YAML 1.1 is false), or a small file a huge one.
 */
import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from "yaml";
import type { Document, ErrorCode as YamlErrorCode, Node, Pair } from "yaml";

import { FirnlineErrors, type FirnlineError } from "../errors.ts";
import { findingError, type Path, type Place } from "./findings.ts";

const FILE_BYTES_MAX = 256 * 1024;
/** More than that helps nobody, and a broken file repeats itself. */
const FINDINGS_MAX = 20;

export interface PolicyDocument {
  readonly value: unknown;
  /** Where the value or the key at `path` stands; for something that is missing, its nearest parent's key. */
  place(path: Path, at: "key" | "value"): Place;
}

interface Advice {
  readonly problem: string;
  readonly hint: string;
}

const INDENT: Advice = {
  problem: "the indentation or a closing bracket is wrong",
  hint: "Compare it with the lines above",
};
const COLON: Advice = {
  problem: "this line cannot be read as `key: value`",
  hint: "Check the indentation of this line and the next, and put texts that hold a colon into quotes",
};
const TOKEN: Advice = {
  problem: "something stands where YAML allows nothing",
  hint: 'Check brackets and quotes; a text with double quotes goes into single quotes: \'"We""ird"."Table"\'',
};
const ALIAS: Advice = {
  problem: "anchors and aliases (& and *) are not allowed",
  hint: "Write the value out",
};
const TAG: Advice = { problem: "tags (!) are not allowed", hint: "Write the plain value" };
const DIRECTIVE: Advice = {
  problem: "directives (%) are not allowed",
  hint: "Remove the line; the file is YAML 1.2",
};
const DOCUMENTS: Advice = { problem: "a second document begins here", hint: "Write one pipeline a file" };

/** Our words for the parser's: its own messages repeat pieces of the file, which may hold a secret. */
const SYNTAX: Readonly<Record<YamlErrorCode, Advice>> = {
  ALIAS_PROPS: ALIAS,
  BAD_ALIAS: ALIAS,
  BAD_COLLECTION_TYPE: TAG,
  BAD_DIRECTIVE: DIRECTIVE,
  BAD_DQ_ESCAPE: {
    problem: "an unknown \\ escape within double quotes",
    hint: "Use single quotes, where \\ is itself",
  },
  BAD_INDENT: INDENT,
  BAD_PROP_ORDER: TOKEN,
  BAD_SCALAR_START: {
    problem: "a text begins with a character that YAML reserves",
    hint: "Put the text into quotes",
  },
  BLOCK_AS_IMPLICIT_KEY: COLON,
  BLOCK_IN_FLOW: {
    problem: "a block within { } or [ ]",
    hint: "Write it on one line, or without the brackets",
  },
  DUPLICATE_KEY: { problem: "this key stands here twice", hint: "Remove one of them" },
  IMPOSSIBLE: TOKEN,
  KEY_OVER_1024_CHARS: COLON,
  MISSING_CHAR: { problem: "a quote, bracket, comma or colon is missing", hint: "Close what is open here" },
  MULTILINE_IMPLICIT_KEY: COLON,
  MULTIPLE_ANCHORS: ALIAS,
  MULTIPLE_DOCS: DOCUMENTS,
  MULTIPLE_TAGS: TAG,
  NON_STRING_KEY: { problem: "a key is not plain text", hint: "Write `key: value`" },
  RESOURCE_EXHAUSTION: { problem: "nested too deeply", hint: "A policy has no more than four levels" },
  TAB_AS_INDENT: { problem: "a tab is used for indentation", hint: "Indent with spaces" },
  TAG_RESOLVE_FAILED: TAG,
  UNEXPECTED_TOKEN: TOKEN,
};

/**
 * Reads `text`. Throws `FirnlineErrors` of `E_POLICY`, each with file, line and column, when it is not plain
 * YAML.
 */
export function readDocument(text: string, fileName: string): PolicyDocument {
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const fail = (findings: readonly DocumentFinding[]): never => {
    const errors = new Map<string, FirnlineError>();
    for (const { offset, ...advice } of findings.toSorted((a, b) => a.offset - b.offset)) {
      const place = offset === 0 ? { line: 1, column: 1 } : placeAt(offset);
      // Later errors of the same line are echoes of the first.
      const error = findingError(fileName, place, [], advice);
      if (!errors.has(String(place.line)) && errors.size < FINDINGS_MAX)
        errors.set(String(place.line), error);
    }
    throw new FirnlineErrors([...errors.values()]);
  };

  if (text.length > FILE_BYTES_MAX || new TextEncoder().encode(text).length > FILE_BYTES_MAX) {
    fail([
      { offset: 0, problem: `the file is larger than ${FILE_BYTES_MAX / 1024} KiB`, hint: "Shorten it" },
    ]);
  }
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "silent",
    version: "1.2",
    merge: false,
    stringKeys: true,
    uniqueKeys: false, // quadratic there; `unplain` looks itself
  });
  const documents = [...parsed] as Document.Parsed[];
  const [document, second] = documents;
  const syntax = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings]);
  if (syntax.length > 0) {
    const findings = syntax.map(({ code, pos }) =>
      // Where the parser gave up depends on the stack that was left: no place in the file.
      syntaxFinding(documents, code, code === "RESOURCE_EXHAUSTION" ? 0 : pos[0]),
    );
    const causes = findings.filter(({ isCause }) => isCause); // the others are their echo
    fail(causes.length > 0 ? causes : findings);
  }
  if (second) fail([{ offset: second.range[0], ...DOCUMENTS }]);
  const root = document?.contents;
  if (!document || !root || (isScalar(root) && root.value === null)) {
    return fail([{ offset: 0, problem: "the file is empty", hint: "Write a pipeline, or remove the file" }]);
  }
  if (document.directives.yaml.explicit) fail([{ offset: 0, ...DIRECTIVE }]);
  const findings = unplain(document);
  if (findings.length > 0) fail(findings);

  return {
    value: document.toJS({ maxAliasCount: 0 }) as unknown,
    place: (path, at) => placeAt(offsetOf(root, path, at)),
  };
}

interface DocumentFinding extends Advice {
  /** UTF-16 units from the start of the text. */
  readonly offset: number;
}

/**
 * A quote that is never closed is noticed at the end of the file, and wanted at its beginning. That and a tab
 * make everything after them look wrong.
 */
function syntaxFinding(documents: readonly Document.Parsed[], code: YamlErrorCode, at: number) {
  let offset = at;
  if (code === "MISSING_CHAR") {
    for (const document of documents) {
      visit(document, {
        Scalar: (_key, { type, range }) => {
          const quoted = type === "QUOTE_DOUBLE" || type === "QUOTE_SINGLE";
          if (quoted && range && range[0] < at && at <= range[1]) offset = range[0];
        },
      });
    }
  }
  return { offset, isCause: code === "TAB_AS_INDENT" || offset !== at, ...(SYNTAX[code] ?? TOKEN) };
}

/** Anchors, aliases, tags and keys that stand twice. */
function unplain(document: Document.Parsed): DocumentFinding[] {
  const findings: DocumentFinding[] = [];
  visit(document, (_key, node) => {
    if (isPair(node) || node === null || typeof node !== "object" || !("range" in node)) return;
    const offset = (node as Node).range?.[0] ?? 0;
    if (isAlias(node)) findings.push({ offset, ...ALIAS });
    else if ("anchor" in node && node.anchor !== undefined) findings.push({ offset, ...ALIAS });
    else if ("tag" in node && node.tag !== undefined) findings.push({ offset, ...TAG });
    if (!isMap(node)) return;
    const seen = new Set<string>();
    for (const { key } of node.items as Pair<Node>[]) {
      const name = keyText(key);
      if (seen.has(name)) findings.push({ offset: key.range?.[0] ?? 0, ...SYNTAX.DUPLICATE_KEY });
      seen.add(name);
    }
  });
  return findings;
}

const keyText = (key: unknown): string => String(isScalar(key) ? key.value : key);

/** The offset of a key or value: the key's where the value is missing, a parent's where both are. */
function offsetOf(root: Node, path: Path, at: "key" | "value"): number {
  let offset = root.range?.[0] ?? 0;
  let node: unknown = root;
  for (const [depth, step] of path.entries()) {
    const last = depth === path.length - 1;
    if (isMap(node)) {
      const pair = (node.items as Pair<Node, Node | null>[]).find(({ key }) => keyText(key) === step);
      if (!pair) return offset;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
      if (last && at === "value") offset = pair.value?.range?.[0] ?? offset;
    } else if (isSeq(node) && typeof step === "number") {
      node = node.items[step];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
