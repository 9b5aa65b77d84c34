/** `json.dumps` as transformers' `tojson` calls it: spaces after commas and colons, floats as Python writes them, keys sorted by code point. */
import { pythonFloat, type TemplateValue } from './python-values.ts';

/** The filter's parameters, in order. */
export const JSON_PARAMETERS = ['ensure_ascii', 'indent', 'separators', 'sort_keys'];

interface Layout {
  ensureAscii: boolean;
  /** Indentation of a level; null for a single line. */
  indent: string | null;
  item: string;
  key: string;
  sortKeys: boolean;
}

/** @throws Error as Python does, for values that JSON cannot hold: undefined values, functions */
export function pythonJson(each: TemplateValue, parameters: ReadonlyMap<string, TemplateValue>): string {
  const given = (name: string): unknown => parameters.get(name)?.value ?? null;
  const indent = given('indent');
  const separators = given('separators') as TemplateValue[] | null;
  const [item, key] = separators?.map(({ value }) => value as string) ?? [indent === null ? ', ' : ',', ': '];
  return dump(each, '\n', {
    ensureAscii: given('ensure_ascii') === true,
    indent: typeof indent === 'number' ? ' '.repeat(indent) : typeof indent === 'string' ? indent : null,
    item: item!,
    key: key!,
    sortKeys: given('sort_keys') === true,
  });
}

function dump({ type, value }: TemplateValue, lineStart: string, layout: Layout): string {
  const inner = layout.indent === null ? '' : lineStart + layout.indent;
  const enclose = (open: string, items: string[], close: string) =>
    items.length === 0 ? open + close : open + inner + items.join(layout.item + inner) + (layout.indent === null ? '' : lineStart) + close;
  switch (type) {
    case 'NullValue':
      return 'null';
    case 'BooleanValue':
    case 'IntegerValue':
      return String(value);
    case 'FloatValue':
      return pythonFloat(value as number);
    case 'StringValue':
      return quoted(value as string, layout);
    case 'ArrayValue':
    case 'TupleValue':
      return enclose(
        '[',
        (value as TemplateValue[]).map((each) => dump(each, inner, layout)),
        ']',
      );
    case 'ObjectValue': {
      const entries = [...(value as Map<string, TemplateValue>)];
      if (layout.sortKeys) entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      return enclose(
        '{',
        entries.map(([key, each]) => quoted(key, layout) + layout.key + dump(each, inner, layout)),
        '}',
      );
    }
    default:
      throw new Error(`it converts a ${type} to JSON`);
  }
}

function quoted(text: string, { ensureAscii }: Layout): string {
  const json = JSON.stringify(text);
  return ensureAscii ? json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`) : json;
}
