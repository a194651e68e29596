/**
 * Names. Firnline's own (pipelines, rules) are permanent ids that become parts of object keys; names of
 * tables and columns are SQL identifiers as psql takes them, except that an unquoted name must already be
 * what Postgres would fold it to, so that nobody has to guess whether `Audit` means "Audit" or audit.
 */
import { looksSecret, read, refuse, shown, type Reading } from "./reading.ts";

/** A table's name as the catalogs of Postgres hold it, unquoted. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export const NAME_PATTERN = "^[a-z][a-z0-9_]{0,62}$";
export const VARIABLE_PATTERN = "^[A-Z][A-Z0-9_]*$";
const IDENTIFIER = '("([^"]|"")+"|[a-z_][a-z0-9_$]*)';
export const COLUMN_PATTERN = `^${IDENTIFIER}$`;
export const TABLE_PATTERN = `^${IDENTIFIER}\\.${IDENTIFIER}$`;

/** The name of the rule that takes what no other rule takes. */
export const DEFAULT_RULE = "default";

/** NAMEDATALEN - 1 of Postgres; a longer name would be cut there. */
const IDENTIFIER_BYTES_MAX = 63;

/** A permanent id: lower-case letters, digits and underscores, at most 63, beginning with a letter. */
export function readName(text: string): Reading<string> {
  return new RegExp(NAME_PATTERN).test(text) ? read(text) : refuse(`not a name (found ${shown(text)})`);
}

/** As `readName`; `default` belongs to the implicit last rule. */
export function readRuleName(text: string): Reading<string> {
  if (text !== DEFAULT_RULE) return readName(text);
  return refuse(
    `"${DEFAULT_RULE}" is the implicit last rule, which takes what no other rule takes`,
    "Choose another name, or set its retention in tiers",
  );
}

/**
 * The NAME of an environment variable. What was found is never repeated: people put the connection string
 * itself here, with its password. An AWS access key has the shape of a variable's name and is refused too.
 */
export function readVariableName(text: string): Reading<string> {
  if (/^(?:AKIA|ASIA)[A-Z0-9]{12,}$/.test(text)) return refuse("this looks like an access key (not shown)");
  if (new RegExp(VARIABLE_PATTERN).test(text)) return read(text);
  if (/:\/\/|[=@\s]/.test(text)) return refuse("this looks like a connection string (not shown)");
  return refuse("not the name of an environment variable (not shown)");
}

function readIdentifierPart(quoted: string | undefined, plain: string | undefined): Reading<string> {
  const name = quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"');
  const asQuoted = `'"${name.replaceAll('"', '""')}"'`;
  if (name.includes("\0")) return refuse("a name cannot hold a NUL character");
  if (new TextEncoder().encode(name).length > IDENTIFIER_BYTES_MAX) {
    return refuse(
      `longer than ${IDENTIFIER_BYTES_MAX} bytes, where Postgres would cut it (found ${shown(name)})`,
      "Write the name as \\d in psql shows it",
    );
  }
  if (quoted !== undefined || /^[a-z_][a-z0-9_$]*$/.test(name)) return read(name);
  if (/^[A-Za-z_][A-Za-z0-9_$]*$/.test(name) && !looksSecret(name)) {
    return refuse(
      `capital letters without quotes (found ${shown(name)})`,
      `Write ${name.toLowerCase()}, or ${asQuoted} if the name really has capitals`,
    );
  }
  return refuse(
    `not a plain identifier (found ${shown(name)})`,
    "Write double quotes around it, within single quotes of YAML: '\"odd name\"'",
  );
}

/** Reads a dotted list of identifiers; `null` where the text is not even that. */
function readIdentifiers(text: string): Reading<string[]> | null {
  const part = /"((?:[^"]|"")+)"|([^".\s]+)/y;
  const names: string[] = [];
  for (;;) {
    const match = part.exec(text);
    if (!match) return null;
    const name = readIdentifierPart(match[1], match[2]);
    if (!name.ok) return name;
    names.push(name.value);
    if (part.lastIndex === text.length) return read(names);
    if (text[part.lastIndex] !== ".") return null;
    part.lastIndex += 1;
  }
}

/** Reads `schema.table`, each part plain or in double quotes (`"We""ird"."Table"`). */
export function readTable(text: string): Reading<TableName> {
  const names = readIdentifiers(text);
  if (names === null) return refuse(`not a table name (found ${shown(text)})`);
  if (!names.ok) return names;
  const [schema, name] = names.value;
  if (schema === undefined || name === undefined) {
    return refuse(
      `the schema is missing (found ${shown(text)})`,
      `Write schema.table, for example public.audit_logs`,
    );
  }
  if (names.value.length > 2) return refuse(`more than a schema and a table (found ${shown(text)})`);
  return read({ schema, name });
}

/** Reads one column name, plain or in double quotes. */
export function readColumn(text: string): Reading<string> {
  const names = readIdentifiers(text);
  if (names === null) return refuse(`not a column name (found ${shown(text)})`);
  if (!names.ok) return names;
  const [name] = names.value;
  if (name === undefined || names.value.length > 1) {
    return refuse(
      `more than a column name (found ${shown(text)})`,
      "Write the column alone, without its table",
    );
  }
  return read(name);
}

/**
 * An IANA zone name, as both this machine and Postgres know it. Offsets like +02:00 are refused: Postgres
 * reads their sign the other way round.
 */
export function readZone(text: string): Reading<string> {
  const shape = /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+){0,2}$/.test(text);
  if (!shape) return refuse(`not the name of a time zone (found ${shown(text)})`);
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return read(text);
  } catch {
    return refuse(`unknown time zone (found ${shown(text)})`);
  }
}
