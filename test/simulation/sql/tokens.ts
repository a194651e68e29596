/** The words of a statement. */

export interface Token {
  readonly k: "word" | "quoted" | "string" | "number" | "parameter" | "sign" | "end";
  readonly text: string;
}

const PATTERN =
  /\s+|--[^\n]*|(?<string>'(?:[^']|'')*')|(?<quoted>"(?:[^"]|"")*")|(?<parameter>\$\d+)|(?<number>\d+(?:\.\d+)?)|(?<word>[A-Za-z_][A-Za-z0-9_]*)|(?<sign>->>|->|::|\|\||<=|>=|<>|!=|@>|[=<>+\-*/%(),.[\];?])/y;

export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < sql.length) {
    const at = PATTERN.lastIndex;
    const match = PATTERN.exec(sql);
    if (match === null) throw new Error(`SQL that nobody can read, from: ${sql.slice(at, at + 40)}`);
    const { string, quoted, parameter, number, word, sign } = match.groups ?? {};
    if (string !== undefined) tokens.push({ k: "string", text: string.slice(1, -1).replaceAll("''", "'") });
    else if (quoted !== undefined)
      tokens.push({ k: "quoted", text: quoted.slice(1, -1).replaceAll('""', '"') });
    else if (parameter !== undefined) tokens.push({ k: "parameter", text: parameter.slice(1) });
    else if (number !== undefined) tokens.push({ k: "number", text: number });
    else if (word !== undefined) tokens.push({ k: "word", text: word.toLowerCase() });
    else if (sign !== undefined) tokens.push({ k: "sign", text: sign });
  }
  tokens.push({ k: "end", text: "" });
  return tokens;
}

/** A place in the list, with the questions that a parser asks. */
export class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(sql: string) {
    this.#tokens = tokensOf(sql);
  }

  get next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  peek(ahead: number): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] as Token;
  }

  take(): Token {
    const token = this.next;
    this.#at += 1;
    return token;
  }

  is(...words: readonly string[]): boolean {
    return words.every((word, ahead) => {
      const { k, text } = this.peek(ahead);
      return (k === "word" || k === "sign") && text === word;
    });
  }

  /** Whether the words were there; then they are taken. */
  eat(...words: readonly string[]): boolean {
    if (!this.is(...words)) return false;
    this.#at += words.length;
    return true;
  }

  expect(...words: readonly string[]): void {
    if (!this.eat(...words)) {
      const around = this.#tokens.slice(Math.max(0, this.#at - 8), this.#at + 4).map(({ text }) => text);
      throw new Error(`SQL: expected ${words.join(" ")} at: ${around.join(" ")}`);
    }
  }

  name(): string {
    const { k, text } = this.take();
    if (k === "word" || k === "quoted") return text;
    throw new Error(`SQL: ${JSON.stringify(text)} is no name`);
  }

  list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.eat(",")) items.push(item());
    return items;
  }
}
