/**
 * `node --import ./mutate.ts ...`: the sources are read with one bug in them, the one that FIRNLINE_MUTANT names. The files
 * on the disk are not touched.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { editsOf, mutantNamed, sourceOf } from "./mutant-list.ts";

const mutant = mutantNamed(process.env["FIRNLINE_MUTANT"] ?? "");
const edits = new Map(editsOf(mutant).map((edit) => [sourceOf(edit).href, edit]));

registerHooks({
  load(asked, context, next) {
    const edit = edits.get(asked);
    if (edit === undefined) return next(asked, context);
    const source = readFileSync(new URL(asked), "utf8");
    return {
      format: "module-typescript",
      source: source.replace(edit.find, () => edit.put),
      shortCircuit: true,
    };
  },
});
