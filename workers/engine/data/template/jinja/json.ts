/** Python's `json.dumps`: spaces after commas and colons, numbers as `repr` writes them, keys in their order or sorted. */
import { compare } from './compare.ts';
import { TemplateError } from './error.ts';
import { floatText } from './text.ts';
import { dictOf, itemsOf, Markup, typeName, type Value } from './values.ts';

export interface JsonLayout {
  /** Whether everything but ASCII is escaped; default false, as in transformers' `tojson`. */
  ensureAscii?: boolean;
  /** Indentation of a level; null (the default) for a single line. */
  indent?: string | null;
  /** Between items, and between key and value. */
  separators?: readonly [string, string] | null;
  sortKeys?: boolean;
}

type Layout = Required<Omit<JsonLayout, 'separators'>> & { item: string; key: string };

const ESCAPES: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes control characters
const ESCAPED = /["\\\0-\x1f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const ESCAPED_IN_ASCII = /["\\\0-\x1f\x7f-\uffff]/g;

/** @throws TemplateError where Python raises TypeError: for what JSON cannot hold */
export function pythonJson(value: Value, { ensureAscii = false, indent = null, separators = null, sortKeys = false }: JsonLayout = {}): string {
  const [item, key] = separators ?? [indent === null ? ', ' : ',', ': '];
  return dump(value, '\n', { ensureAscii, indent, sortKeys, item, key });
}

function dump(value: Value, lineStart: string, layout: Layout): string {
  if (typeof value === 'string') return quoted(value, layout);
  if (value === null) return 'null';
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  const inner = layout.indent === null ? '' : lineStart + layout.indent;
  const enclose = (open: string, items: string[], close: string) =>
    items.length === 0 ? open + close : open + inner + items.join(layout.item + inner) + (layout.indent === null ? '' : lineStart) + close;
  const dict = dictOf(value);
  if (dict !== null) {
    const entries = [...dict];
    if (layout.sortKeys) entries.sort(([a], [b]) => compare(a, b));
    const members = entries.map(([key, each]) => quoted(keyText(key), layout) + layout.key + dump(each, inner, layout));
    return enclose('{', members, '}');
  }
  const items = itemsOf(value);
  if (items !== null)
    return enclose(
      '[',
      items.map((each) => dump(each, inner, layout)),
      ']',
    );
  if (value instanceof Markup) return quoted(value.text, layout);
  throw new TemplateError(`it converts an object of type ${typeName(value)} to JSON`);
}

const numberText = (value: number): string =>
  Number.isFinite(value) ? floatText(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';

function keyText(key: Value): string {
  if (typeof key === 'string') return key;
  if (typeof key === 'number') return numberText(key);
  if (key === null || typeof key === 'boolean' || typeof key === 'bigint') return String(key);
  throw new TemplateError(`it converts a dict to JSON whose key is a ${typeName(key)}`);
}

/** Half a surrogate pair stays as it is, as in Python. */
function quoted(text: string, { ensureAscii }: Layout): string {
  return `"${text.replace(ensureAscii ? ESCAPED_IN_ASCII : ESCAPED, (unit) => ESCAPES[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}
