/** Expressions, by precedence climbing. */
import type { Expression, Order, Select } from "./syntax.ts";
import type { Reader } from "./tokens.ts";

/** How tightly operators bind. Source: PostgreSQL manual, 4.1.6. */
const BINDING: Readonly<Record<string, number>> = {
  or: 1,
  and: 2,
  "=": 5,
  "<": 5,
  ">": 5,
  "<=": 5,
  ">=": 5,
  "<>": 5,
  "!=": 5,
  "||": 7,
  "->": 7,
  "->>": 7,
  "?": 7,
  "@>": 7,
  "+": 8,
  "-": 8,
  "*": 9,
  "/": 9,
};
const NOT_BINDS = 3;
const IS_BINDS = 4;
const IN_BINDS = 6;
const ZONE_BINDS = 10;
/** Words that end an expression where a name could stand. */
const AGGREGATE_ONLY = new Set(["order"]);

export type ParseSelect = (reader: Reader) => Select;

export function parseExpression(reader: Reader, parseSelect: ParseSelect, binding = 0): Expression {
  const parse = (tighter: number): Expression => parseExpression(reader, parseSelect, tighter);
  let left = reader.is("not")
    ? (reader.take(), { k: "unary", op: "not", of: parse(NOT_BINDS) } as const)
    : parseOperand(reader, parseSelect);
  for (;;) {
    const { text, k } = reader.next;
    if (k !== "word" && k !== "sign") return left;
    if (text === "::") {
      reader.take();
      left = { k: "cast", of: left, type: parseType(reader) };
    } else if (text === "collate") {
      reader.take();
      reader.name();
      if (reader.eat(".")) reader.name();
    } else if (text === "is" && binding < IS_BINDS) {
      reader.take();
      left = parseIs(reader, left, parse);
    } else if ((text === "in" || text === "between" || reader.is("not", "in")) && binding < IN_BINDS) {
      left = parseMembership(reader, left, parse);
    } else if (text === "at" && reader.is("at", "time", "zone") && binding < ZONE_BINDS) {
      reader.expect("at", "time", "zone");
      left = { k: "zone", of: left, zone: parse(ZONE_BINDS) };
    } else {
      const binds = BINDING[text];
      if (binds === undefined || binds <= binding) return left;
      reader.take();
      if (reader.is("any", "(") || reader.is("all", "(")) {
        const all = reader.take().text === "all";
        reader.expect("(");
        const list = parse(0);
        reader.expect(")");
        left = { k: "any", op: text, left, list, all };
      } else left = { k: "binary", op: text, left, right: parse(binds) };
    }
  }
}

function parseIs(reader: Reader, of: Expression, parse: (binding: number) => Expression): Expression {
  const not = reader.eat("not");
  for (const what of ["null", "true", "false"] as const)
    if (reader.eat(what)) return { k: "is", of, what, not };
  reader.expect("distinct", "from");
  return { k: "distinct", left: of, right: parse(IN_BINDS), not };
}

function parseMembership(reader: Reader, of: Expression, parse: (binding: number) => Expression): Expression {
  const not = reader.eat("not");
  if (reader.eat("in")) {
    reader.expect("(");
    const list = reader.list(() => parse(0));
    reader.expect(")");
    return { k: "in", of, list, not };
  }
  reader.expect("between");
  const low = parse(IN_BINDS);
  reader.expect("and");
  const high = parse(IN_BINDS);
  const from: Expression = { k: "binary", op: ">=", left: of, right: low };
  return { k: "binary", op: "and", left: from, right: { k: "binary", op: "<=", left: of, right: high } };
}

function parseOperand(reader: Reader, parseSelect: ParseSelect): Expression {
  const parse = (): Expression => parseExpression(reader, parseSelect);
  const { k, text } = reader.next;
  if (k === "parameter") return (reader.take(), { k: "parameter", number: Number(text) });
  if (k === "string") return (reader.take(), { k: "literal", value: text, type: "unknown" });
  if (k === "number") {
    reader.take();
    const isWhole = !text.includes(".");
    return { k: "literal", value: isWhole ? BigInt(text) : Number(text), type: isWhole ? "int" : "numeric" };
  }
  if (reader.eat("-")) return { k: "unary", op: "-", of: parseExpression(reader, parseSelect, ZONE_BINDS) };
  if (reader.is("(", "select")) {
    reader.take();
    const select = parseSelect(reader);
    reader.expect(")");
    return { k: "scalar", select };
  }
  if (reader.eat("(")) {
    const items = reader.list(parse);
    reader.expect(")");
    return items.length === 1 ? (items[0] as Expression) : { k: "row", items };
  }
  if (k === "word") {
    if (reader.eat("null")) return { k: "literal", value: null, type: "unknown" };
    if (reader.eat("true")) return { k: "literal", value: true, type: "bool" };
    if (reader.eat("false")) return { k: "literal", value: false, type: "bool" };
    if (reader.eat("case")) return parseCase(reader, parse);
    for (const [word, kind] of [
      ["exists", "exists"],
      ["array", "rows"],
    ] as const) {
      if (!reader.eat(word, "(")) continue;
      const select = parseSelect(reader);
      reader.expect(")");
      return { k: kind, select };
    }
    // A type in front of a text: interval '1 microsecond', date '1970-01-01'.
    if ((text === "interval" || text === "date") && reader.peek(1).k === "string") {
      reader.take();
      return { k: "cast", of: { k: "literal", value: reader.take().text, type: "unknown" }, type: text };
    }
    if (text === "extract") {
      reader.expect("extract", "(", "epoch", "from");
      const args = [parse()];
      reader.expect(")");
      return { k: "call", name: "epoch", args, order: [], filter: null };
    }
  }
  return parseName(reader, parse);
}

function parseCase(reader: Reader, parse: () => Expression): Expression {
  const arms: { when: Expression; result: Expression }[] = [];
  while (reader.eat("when")) {
    const when = parse();
    reader.expect("then");
    arms.push({ when, result: parse() });
  }
  const otherwise = reader.eat("else") ? parse() : null;
  reader.expect("end");
  return { k: "case", arms, otherwise };
}

/** `a`, `a.b`, `f(...)`, `pg_catalog.f(...)`. */
function parseName(reader: Reader, parse: () => Expression): Expression {
  let table: string | null = null;
  let name = reader.name();
  if (reader.is(".")) {
    reader.take();
    table = name;
    name = reader.name();
  }
  if (!reader.eat("(")) return { k: "column", table, name };
  const args: Expression[] = [];
  const order: Order[] = [];
  if (reader.eat("*")) args.push({ k: "literal", value: true, type: "bool" });
  else if (!reader.is(")")) {
    reader.eat("distinct");
    args.push(...reader.list(parse));
  }
  if (AGGREGATE_ONLY.has(reader.next.text)) order.push(...parseOrder(reader, parse));
  reader.expect(")");
  let filter: Expression | null = null;
  if (reader.eat("filter", "(", "where")) {
    filter = parse();
    reader.expect(")");
  }
  return { k: "call", name, args, order, filter };
}

export function parseOrder(reader: Reader, parse: () => Expression): Order[] {
  reader.expect("order", "by");
  return reader.list(() => {
    const by = parse();
    const descending = reader.eat("desc");
    if (!descending) reader.eat("asc");
    return { by, descending };
  });
}

const TYPES: Readonly<Record<string, string>> = {
  int4: "int",
  int8: "bigint",
  int2: "int",
  integer: "int",
  boolean: "bool",
  float8: "numeric",
  double: "numeric",
};

export function parseType(reader: Reader): string {
  let name = reader.name();
  // `pg_catalog.int8`, or the row type of a table of ours.
  if (reader.eat(".")) name = name === "pg_catalog" ? reader.name() : `${name}.${reader.name()}`;
  if (name === "timestamp" && reader.eat("with", "time", "zone")) name = "timestamptz";
  const type = TYPES[name] ?? name;
  return reader.eat("[", "]") ? `${type}[]` : type;
}
