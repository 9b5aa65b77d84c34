/** The escapes in a template's string literals, which Jinja reads with Python's `unicode-escape`. */
import { TemplateSyntaxError } from './error.ts';

const ESCAPE = /\\(?:\n|([\\'"abfnrtv])|([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([xuUN])|([^\0-\x7f])|)/gu;
const SHORT: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', "'": "'", '"': '"' };

/** @throws TemplateSyntaxError for an escape that is cut off, and for names of characters */
export function unescapeString(text: string, line: number): string {
  if (!text.includes('\\')) return text;
  return text.replace(
    ESCAPE,
    (whole, short?: string, octal?: string, hex2?: string, hex4?: string, hex8?: string, broken?: string, wide?: string) => {
      if (whole === '\\\n') return '';
      if (short !== undefined) return SHORT[short] ?? whole;
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      const hex = hex2 ?? hex4 ?? hex8;
      if (hex !== undefined) return fromCode(Number.parseInt(hex, 16), whole, line);
      if (broken !== undefined) throw new TemplateSyntaxError(`the escape \\${broken} in a string is not complete or not supported`, line);
      if (wide !== undefined) return asciiEscape(wide);
      return whole; // a backslash before any other character stays
    },
  );
}

function fromCode(code: number, written: string, line: number): string {
  if (code > 0x10ffff) throw new TemplateSyntaxError(`the escape ${written} in a string is no character`, line);
  return String.fromCodePoint(code);
}

/** Jinja first writes what is not ASCII as an escape, so after a backslash its code remains: \é is the four characters \xe9. */
function asciiEscape(character: string): string {
  const code = character.codePointAt(0)!;
  const [letter, digits] = code < 0x100 ? ['x', 2] : code < 0x10000 ? ['u', 4] : ['U', 8];
  return `\\${letter}${code.toString(16).padStart(digits as number, '0')}`;
}
