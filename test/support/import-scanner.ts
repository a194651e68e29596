/**
 * Reads the imports of a TypeScript file without a compiler: comments and the text of strings are blanked first, so
 * that no pattern is fooled by them. Good for the code of this repository rather than for all of TypeScript: a
 * regular expression literal is told from a division by what stands before it.
 */

const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const STRING = /"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\//y;
const TEMPLATE_TEXT = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y;
/** The end of code after which a slash begins a regular expression. */
const BEFORE_REGEX =
  /(?:^|[(,=:[!&|?{;+*%<>~^-]|\b(?:return|case|typeof|of|in|do|else|yield|await|void|throw))$/;

/** `source` with blanks for comments and, unless `keepStrings`, for the text of strings. Lines stay lines. */
export function blanked(source: string, keepStrings = false): string {
  let code = "";
  let at = 0;
  /** For each `${` that is open: how many braces are open within it. */
  const substitutions: number[] = [];

  const emit = (text: string, keep: boolean): void => {
    code += keep ? text : text.replaceAll(/[^\n]/g, " ");
    at += text.length;
  };
  const matched = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const emitQuoted = (literal: string): void => {
    emit(literal.slice(0, 1), true);
    emit(literal.slice(1, -1), keepStrings);
    emit(literal.slice(-1), true);
  };
  const emitTemplateText = (): void => {
    emit(matched(TEMPLATE_TEXT) ?? "", keepStrings);
    if (source.startsWith("${", at)) {
      emit("${", true);
      substitutions.push(0);
    } else emit(source.slice(at, at + 1), true);
  };

  while (at < source.length) {
    const comment = matched(COMMENT);
    const char = source.charAt(at);
    const literal = char === "/" && BEFORE_REGEX.test(code.trimEnd()) ? matched(REGEX) : matched(STRING);
    const braces = substitutions.length - 1;
    if (comment !== undefined) emit(comment, false);
    else if (literal !== undefined) emitQuoted(literal);
    else if (char === "`") {
      emit(char, true);
      emitTemplateText();
    } else if (char === "}" && substitutions[braces] === 0) {
      substitutions.pop();
      emit(char, true);
      emitTemplateText();
    } else {
      if (char === "{" && braces >= 0) substitutions[braces] = (substitutions[braces] ?? 0) + 1;
      if (char === "}" && braces >= 0) substitutions[braces] = (substitutions[braces] ?? 0) - 1;
      emit(char, true);
    }
  }
  return code;
}

const IMPORT_FORMS = [
  /import\s*\(\s*["'`]([^"'`\n]+)["'`]/y, // a value or a type: import("x")
  /import\s*["']([^"'\n]+)["']/y,
  /(?:import|export)\b[\w$\s{},*]*?\bfrom\s*["']([^"'\n]+)["']/y,
];

/** The specifiers that a file imports or re-exports, each once, in order; type-only imports included. */
export function importsOf(source: string): string[] {
  const code = blanked(source, true);
  const specifiers = new Set<string>();
  // Keywords are looked for where strings are blank: the text of a string imports nothing.
  for (const { index } of blanked(source).matchAll(/\b(?:import|export)\b/g)) {
    for (const form of IMPORT_FORMS) {
      form.lastIndex = index;
      const specifier = form.exec(code)?.[1];
      if (specifier !== undefined) specifiers.add(specifier);
    }
  }
  return [...specifiers];
}
