/** SQL as a tree: what the statements of `src/catalog/postgres` and `src/hot/postgres` are made of, and no more. */

export type Expression =
  | { readonly k: "literal"; readonly value: unknown; readonly type: string }
  | { readonly k: "parameter"; readonly number: number }
  | { readonly k: "column"; readonly table: string | null; readonly name: string }
  | { readonly k: "unary"; readonly op: "not" | "-"; readonly of: Expression }
  | { readonly k: "binary"; readonly op: string; readonly left: Expression; readonly right: Expression }
  | {
      readonly k: "is";
      readonly of: Expression;
      readonly what: "null" | "true" | "false";
      readonly not: boolean;
    }
  | { readonly k: "distinct"; readonly left: Expression; readonly right: Expression; readonly not: boolean }
  | {
      readonly k: "in";
      readonly of: Expression;
      readonly list: readonly Expression[];
      readonly not: boolean;
    }
  | {
      readonly k: "any";
      readonly left: Expression;
      readonly op: string;
      readonly list: Expression;
      /** `op ALL (list)`. */
      readonly all: boolean;
    }
  | {
      readonly k: "case";
      readonly arms: readonly { when: Expression; result: Expression }[];
      readonly otherwise: Expression | null;
    }
  | { readonly k: "cast"; readonly of: Expression; readonly type: string }
  | {
      readonly k: "call";
      readonly name: string;
      readonly args: readonly Expression[];
      readonly order: readonly Order[];
      readonly filter: Expression | null;
    }
  | { readonly k: "zone"; readonly of: Expression; readonly zone: Expression }
  | { readonly k: "exists" | "scalar" | "rows"; readonly select: Select }
  | { readonly k: "row"; readonly items: readonly Expression[] };

export interface Order {
  readonly by: Expression;
  readonly descending: boolean;
}

export interface Item {
  /** Null: `*`. */
  readonly what: Expression | null;
  readonly name: string;
}

export interface From {
  readonly source:
    | { readonly k: "table"; readonly name: string }
    | {
        readonly k: "function";
        readonly name: string;
        readonly args: readonly Expression[];
        readonly ordinality: boolean;
      }
    | { readonly k: "select"; readonly select: Select };
  readonly alias: string;
  readonly columns: readonly string[];
  readonly on: Expression | null;
  readonly using: readonly string[];
}

export interface Select {
  readonly k: "select";
  readonly ctes: readonly { readonly name: string; readonly statement: Statement }[];
  readonly distinct: boolean;
  readonly items: readonly Item[];
  readonly from: readonly From[];
  readonly where: Expression | null;
  readonly group: readonly Expression[];
  readonly having: Expression | null;
  readonly order: readonly Order[];
  readonly limit: Expression | null;
  readonly offset: Expression | null;
  readonly lock: {
    readonly mode: LockMode;
    readonly of: readonly string[];
    readonly skip: boolean;
  } | null;
}

export type LockMode = "share" | "no key update" | "update";

export interface Insert {
  readonly k: "insert";
  readonly table: string;
  readonly alias: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Expression[])[] | null;
  readonly select: Select | null;
  readonly conflict: {
    readonly columns: readonly string[];
    readonly set: readonly Assignment[] | null;
  } | null;
  readonly returning: readonly Item[] | null;
}

export interface Assignment {
  readonly column: string;
  readonly value: Expression;
}

export interface Update {
  readonly k: "update";
  readonly table: string;
  readonly alias: string;
  readonly set: readonly Assignment[];
  readonly from: readonly From[];
  readonly where: Expression | null;
  readonly returning: readonly Item[] | null;
}

export interface Delete {
  readonly k: "delete";
  readonly table: string;
  readonly alias: string;
  readonly from: readonly From[];
  readonly where: Expression | null;
  readonly returning: readonly Item[] | null;
}

export interface Copy {
  readonly k: "copy";
  readonly of: Select | Delete;
}

export interface LockTable {
  readonly k: "lock";
  readonly table: string;
  readonly mode: string;
}

export type Statement = Select | Insert | Update | Delete | Copy | LockTable;
