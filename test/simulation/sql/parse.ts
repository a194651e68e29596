/** Statements. What is not written here is no statement that the simulation knows, and is told as an error. */
import { parseExpression, parseOrder } from "./parse-expression.ts";
import type {
  Assignment,
  Delete,
  Expression,
  From,
  Insert,
  Item,
  LockMode,
  Select,
  Statement,
  Update,
} from "./syntax.ts";
import { Reader } from "./tokens.ts";

/** Words that cannot be an alias, as something else begins with them. */
const RESERVED = new Set(
  `where group having order limit offset for on using join cross left inner set from returning union as values select do
   with lateral and or not`.split(/\s+/),
);

export function parseStatement(sql: string): Statement {
  const reader = new Reader(sql);
  const statement = parseAny(reader);
  reader.eat(";");
  if (reader.next.k !== "end")
    throw new Error(`SQL: what comes from ${JSON.stringify(reader.next.text)} on?`);
  return statement;
}

function parseAny(reader: Reader): Statement {
  if (reader.eat("lock", "table")) {
    const table = parseTable(reader);
    reader.expect("in");
    const words: string[] = [];
    while (!reader.eat("mode")) words.push(reader.take().text);
    return { k: "lock", table, mode: words.join(" ") };
  }
  if (reader.eat("copy", "(")) {
    const of = reader.is("delete") ? parseDelete(reader) : parseSelect(reader);
    reader.expect(")", "to", "stdout", "(", "format", "binary", ")");
    return { k: "copy", of };
  }
  if (reader.is("insert")) return parseInsert(reader);
  if (reader.is("update")) return parseUpdate(reader);
  if (reader.is("delete")) return parseDelete(reader);
  return parseSelect(reader);
}

const expression = (reader: Reader): Expression => parseExpression(reader, parseSelect);

function parseTable(reader: Reader): string {
  reader.eat("only");
  const first = reader.name();
  return reader.eat(".") ? `${first}.${reader.name()}` : first;
}

function parseAlias(reader: Reader, fallback: string): string {
  if (reader.eat("as")) return reader.name();
  const { k, text } = reader.next;
  if (k === "quoted" || (k === "word" && !RESERVED.has(text))) return reader.name();
  return fallback;
}

const shortName = (table: string): string => table.slice(table.indexOf(".") + 1);

export function parseSelect(reader: Reader): Select {
  const ctes: { name: string; statement: Statement }[] = [];
  if (reader.eat("with")) {
    ctes.push(
      ...reader.list(() => {
        const name = reader.name();
        reader.expect("as", "(");
        const statement = parseAny(reader);
        reader.expect(")");
        return { name, statement };
      }),
    );
  }
  reader.expect("select");
  const distinct = reader.eat("distinct");
  const isBare = reader.is("from") || reader.is(")") || reader.next.k === "end";
  const items = isBare ? [] : parseItems(reader);
  const from = reader.eat("from") ? parseFrom(reader) : [];
  const where = reader.eat("where") ? expression(reader) : null;
  const group = reader.eat("group", "by") ? reader.list(() => expression(reader)) : [];
  const having = reader.eat("having") ? expression(reader) : null;
  const order = reader.is("order", "by") ? parseOrder(reader, () => expression(reader)) : [];
  let limit: Expression | null = null;
  let offset: Expression | null = null;
  for (;;) {
    if (reader.eat("limit")) limit = expression(reader);
    else if (reader.eat("offset")) offset = expression(reader);
    else break;
  }
  const lock = reader.eat("for") ? parseLock(reader) : null;
  return {
    k: "select",
    ctes,
    distinct,
    items,
    from,
    where,
    group,
    having,
    order,
    limit,
    offset,
    lock,
  };
}

function parseLock(reader: Reader): Select["lock"] {
  const words: string[] = [];
  while (reader.next.k === "word" && !reader.is("of") && !reader.is("skip")) words.push(reader.take().text);
  const of = reader.eat("of") ? reader.list(() => reader.name()) : [];
  return { mode: words.join(" ") as LockMode, of, skip: reader.eat("skip", "locked") };
}

function parseItems(reader: Reader): Item[] {
  return reader.list(() => {
    if (reader.eat("*")) return { what: null, name: "*" };
    const what = expression(reader);
    return { what, name: parseAlias(reader, nameOf(what)) };
  });
}

function nameOf(what: Expression): string {
  if (what.k === "column" || what.k === "call") return what.name;
  if (what.k === "cast") return nameOf(what.of);
  return "?column?";
}

function parseFrom(reader: Reader): From[] {
  const items = [parseSource(reader)];
  for (;;) {
    if (reader.eat(",") || reader.eat("cross", "join")) {
      reader.eat("lateral");
      items.push(parseSource(reader));
    } else if (reader.eat("join") || reader.eat("inner", "join")) {
      const source = parseSource(reader);
      if (reader.eat("using", "(")) {
        const using = reader.list(() => reader.name());
        reader.expect(")");
        items.push({ ...source, using });
      } else {
        reader.expect("on");
        items.push({ ...source, on: expression(reader) });
      }
    } else return items;
  }
}

function parseSource(reader: Reader): From {
  const rest = { on: null, using: [] };
  if (reader.is("(", "select")) {
    reader.take();
    const select = parseSelect(reader);
    reader.expect(")");
    return { source: { k: "select", select }, ...parseNames(reader, "?"), ...rest };
  }
  const table = parseTable(reader);
  if (!reader.eat("("))
    return { source: { k: "table", name: table }, ...parseNames(reader, shortName(table)), ...rest };
  const args = reader.is(")") ? [] : reader.list(() => expression(reader));
  reader.expect(")");
  const ordinality = reader.eat("with", "ordinality");
  return {
    source: { k: "function", name: table, args, ordinality },
    ...parseNames(reader, table),
    ...rest,
  };
}

/** `AS alias(a, b)`. */
function parseNames(reader: Reader, fallback: string): Pick<From, "alias" | "columns"> {
  const alias = parseAlias(reader, fallback);
  if (!reader.eat("(")) return { alias, columns: [] };
  const columns = reader.list(() => reader.name());
  reader.expect(")");
  return { alias, columns };
}

function parseAssignments(reader: Reader): Assignment[] {
  return reader.list(() => {
    const column = reader.name();
    reader.expect("=");
    return { column, value: expression(reader) };
  });
}

const parseReturning = (reader: Reader): Item[] | null =>
  reader.eat("returning") ? parseItems(reader) : null;

function parseInsert(reader: Reader): Insert {
  reader.expect("insert", "into");
  const table = parseTable(reader);
  const alias = parseAlias(reader, shortName(table));
  let columns: string[] = [];
  if (reader.eat("(")) {
    columns = reader.list(() => reader.name());
    reader.expect(")");
  }
  const rows = reader.eat("values")
    ? reader.list(() => {
        reader.expect("(");
        const row = reader.list(() => expression(reader));
        reader.expect(")");
        return row;
      })
    : null;
  const select = rows === null ? parseSelect(reader) : null;
  let conflict: Insert["conflict"] = null;
  if (reader.eat("on", "conflict")) {
    let target: string[] = [];
    if (reader.eat("(")) {
      target = reader.list(() => reader.name());
      reader.expect(")");
      if (reader.eat("where")) expression(reader);
    }
    reader.expect("do");
    if (reader.eat("nothing")) conflict = { columns: target, set: null };
    else {
      reader.expect("update", "set");
      conflict = { columns: target, set: parseAssignments(reader) };
    }
  }
  return {
    k: "insert",
    table,
    alias,
    columns,
    rows,
    select,
    conflict,
    returning: parseReturning(reader),
  };
}

function parseUpdate(reader: Reader): Update {
  reader.expect("update");
  const table = parseTable(reader);
  const alias = parseAlias(reader, shortName(table));
  reader.expect("set");
  const set = parseAssignments(reader);
  const from = reader.eat("from") ? parseFrom(reader) : [];
  const where = reader.eat("where") ? expression(reader) : null;
  return { k: "update", table, alias, set, from, where, returning: parseReturning(reader) };
}

function parseDelete(reader: Reader): Delete {
  reader.expect("delete", "from");
  const table = parseTable(reader);
  const alias = parseAlias(reader, shortName(table));
  const from = reader.eat("using") ? parseFrom(reader) : [];
  const where = reader.eat("where") ? expression(reader) : null;
  return { k: "delete", table, alias, from, where, returning: parseReturning(reader) };
}
