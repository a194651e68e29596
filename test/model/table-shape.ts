/** The definition of the application's table, as it changes over the years. */
import type { Row } from "./rows.ts";
import { TABLE } from "./terms.ts";
import type { SchemaChange } from "./writes.ts";

export class TableShape {
  #note = "note";
  #tag = "tag";
  readonly #labels = ["low", "mid", "high"];
  readonly #added: string[] = [];
  #changes = 0;

  get note(): string {
    return this.#note;
  }

  get tag(): string {
    return this.#tag;
  }

  label(index: number): string {
    return this.#labels[index % this.#labels.length] as string;
  }

  /** The row as it can be inserted now: a label may have another name since. */
  possible(row: Row): Row {
    return this.#labels.includes(String(row["level"])) ? row : { ...row, level: null };
  }

  /** The statements that change the table so. */
  change(change: SchemaChange): string {
    this.#changes += 1;
    const fresh = `x${this.#changes}`;
    const alter = (what: string): string => `ALTER TABLE ${TABLE} ${what}`;
    switch (change) {
      case "add column":
        this.#added.push(fresh);
        return alter(`ADD COLUMN ${fresh} text`);
      case "add column with default":
        this.#added.push(fresh);
        return alter(`ADD COLUMN ${fresh} text DEFAULT 'default ${this.#changes}'`);
      case "drop column": {
        const dropped = this.#added.shift();
        return dropped === undefined
          ? alter("ALTER COLUMN level SET DEFAULT NULL")
          : alter(`DROP COLUMN ${dropped}`);
      }
      case "drop and add column":
        return `${alter(`DROP COLUMN ${this.#tag}`)}; ${alter(`ADD COLUMN ${this.#tag} text`)}`;
      case "rename column": {
        const before = this.#note;
        this.#note = before === "note" ? "remark" : "note";
        return alter(`RENAME COLUMN ${before} TO ${this.#note}`);
      }
      case "swap columns":
        return [
          alter(`RENAME COLUMN ${this.#note} TO swapped`),
          alter(`RENAME COLUMN ${this.#tag} TO ${this.#note}`),
          alter(`RENAME COLUMN swapped TO ${this.#tag}`),
        ].join("; ");
      case "rename label": {
        const [before] = this.#labels as [string];
        const label = `${before.replace(/\d+$/, "")}${this.#changes}`;
        this.#labels[0] = label;
        return `ALTER TYPE public.level RENAME VALUE '${before}' TO '${label}'`;
      }
      case "widen column":
        return alter("ALTER COLUMN amount TYPE bigint");
    }
  }
}
