/** `text.format(…)`: fields in braces, each a path into the arguments, a conversion and a format. */
import { TemplateError } from './error.ts';
import { format, parseSpec } from './format-spec.ts';
import { repr, str } from './text.ts';
import { type Keywords, Undefined, type Value } from './values.ts';

/** How the sandbox reads `a.name` and `a[key]`. */
export interface Lookup {
  attribute(value: Value, name: string): Value;
  item(value: Value, key: Value): Value;
}

interface Arguments {
  args: readonly Value[];
  keywords: Keywords;
  lookup: Lookup;
  /** Number of fields without a name so far. */
  counted: number;
}

const STEP = /^(?:\.([^.[]+)|\[([^\]]+)\])/;

/** @throws TemplateError where Python raises ValueError, IndexError or KeyError */
export function braceFormat(text: string, args: readonly Value[], keywords: Keywords, lookup: Lookup): string {
  return fields(text, { args, keywords, lookup, counted: 0 }, 2);
}

/** @param depth how deeply formats may hold fields themselves */
function fields(text: string, given: Arguments, depth: number): string {
  if (depth < 0) throw new TemplateError('it formats with fields nested too deeply');
  let result = '';
  let position = 0;
  while (position < text.length) {
    const character = text[position]!;
    if (character !== '{' && character !== '}') {
      result += character;
      position += 1;
    } else if (text[position + 1] === character) {
      result += character;
      position += 2;
    } else {
      if (character === '}') throw new TemplateError("it formats a text with a single '}'");
      const end = closing(text, position);
      result += field(text.slice(position + 1, end), given, depth);
      position = end + 1;
    }
  }
  return result;
}

function closing(text: string, open: number): number {
  let depth = 0;
  for (let position = open; position < text.length; position++) {
    if (text[position] === '{') depth += 1;
    if (text[position] === '}') depth -= 1;
    if (depth === 0) return position;
  }
  throw new TemplateError("it formats a text with a '{' that is not closed");
}

function field(text: string, given: Arguments, depth: number): string {
  const [, path = '', conversion, spec = ''] = /^((?:[^!:[]|\[[^\]]*\])*)(?:!(.))?(?::(.*))?$/s.exec(text) ?? [];
  const value = valueAt(path, given);
  const shown = fields(spec, given, depth - 1);
  if (conversion !== undefined && !['r', 's', 'a'].includes(conversion))
    throw new TemplateError(`it formats with the unknown conversion !${conversion}`);
  if (conversion !== undefined) return format(conversion === 's' ? str(value) : repr(value), parseSpec(shown));
  if (shown === '') return str(value);
  if (value instanceof Undefined) throw new TemplateError('it formats an undefined value');
  return format(value, parseSpec(shown));
}

function valueAt(path: string, given: Arguments): Value {
  const first = /^[^.[]*/.exec(path)![0];
  const isNumber = first === '' || /^\d+$/.test(first);
  const value = isNumber ? given.args[first === '' ? given.counted++ : Number(first)] : given.keywords.get(first);
  if (value === undefined) throw new TemplateError(`it formats with the field ${JSON.stringify(first)}, for which there is no value`);
  let reached = value;
  for (let rest = path.slice(first.length); rest !== ''; ) {
    const step = STEP.exec(rest);
    if (step === null) throw new TemplateError(`it formats with the field ${JSON.stringify(path)}, which is none`);
    const [whole, name, key] = step;
    if (name !== undefined) reached = given.lookup.attribute(reached, name);
    else reached = given.lookup.item(reached, /^\d+$/.test(key!) ? BigInt(key!) : key!);
    rest = rest.slice(whole.length);
  }
  return reached;
}
