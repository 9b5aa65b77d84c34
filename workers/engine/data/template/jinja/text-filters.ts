/** Jinja's filters on text. Like Python's, most of them first make a string of the value. */
import { escapeHtml } from './arithmetic.ts';
import { TemplateError } from './error.ts';
import { filter } from './filter-table.ts';
import { pythonJson } from './json.ts';
import { checkLength } from './limits.ts';
import { percentFormat } from './percent-format.ts';
import { asText, asTextOrNull } from './signature.ts';
import { replaceIn, stringMethod } from './string-methods.ts';
import { capitalize, codePointCount, codePoints, rsplit, splitLines, strip, titleOfWords } from './strings.ts';
import { repr, str } from './text.ts';
import { type Callable, indexOf, isTrue, itemsOf, Markup, Tuple, type Value } from './values.ts';

const center = (text: string, width: Value): Value => (stringMethod(text, 'center') as Callable).call([width], new Map());

export const TEXT_FILTERS = [
  filter('string', [], (value) => (value instanceof Markup ? value : str(value))),
  filter('upper', [], (value) => str(value).toUpperCase()),
  filter('lower', [], (value) => str(value).toLowerCase()),
  filter('capitalize', [], (value) => capitalize(str(value))),
  filter('title', [], (value) => titleOfWords(str(value))),
  filter('trim', [['chars', null]], (value, characters) => strip(str(value), 'strip', asTextOrNull(characters!))),
  filter('center', [['width', 80n]], (value, width) => center(str(value), width!)),
  filter('replace', [['old'], ['new'], ['count', null]], (value, old, by, count) =>
    replaceIn(str(value), str(old!), str(by!), count === null ? -1 : indexOf(count!)),
  ),
  filter('wordcount', [], (value) => BigInt(str(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)),
  filter(
    'indent',
    [
      ['width', 4n],
      ['first', false],
      ['blank', false],
    ],
    (value, width, first, blank) =>
      indent(asText(value), typeof width === 'string' ? width : ' '.repeat(Math.max(0, boundedWidth(width!))), {
        first: isTrue(first!),
        blank: isTrue(blank!),
      }),
  ),
  filter(
    'truncate',
    [
      ['length', 255n],
      ['killwords', false],
      ['end', '...'],
      ['leeway', null],
    ],
    (value, length, killWords, end, leeway) =>
      truncate(asText(value), {
        length: indexOf(length!),
        killWords: isTrue(killWords!),
        end: asText(end!),
        leeway: leeway === null ? 5 : indexOf(leeway!),
      }),
  ),
  filter(
    'tojson',
    [
      ['ensure_ascii', false],
      ['indent', null],
      ['separators', null],
      ['sort_keys', false],
    ],
    (value, ascii, indent, separators, sortKeys) =>
      pythonJson(value, { ensureAscii: isTrue(ascii!), indent: indentation(indent!), separators: pair(separators!), sortKeys: isTrue(sortKeys!) }),
  ),
  filter('safe', [], (value) => (value instanceof Markup ? value : new Markup(str(value)))),
  ...['escape', 'e'].map((name) => filter(name, [], (value) => (value instanceof Markup ? value : new Markup(escapeHtml(str(value)))))),
  filter('forceescape', [], (value) => new Markup(escapeHtml(str(value)))),
  ...['striptags', 'urlize', 'urlencode', 'xmlattr', 'wordwrap', 'pprint', 'filesizeformat', 'random'].map((name) =>
    filter(name, [], () => unsupported(name)),
  ),
  [
    'format',
    (value, args, keywords) => {
      if (args.length > 0 && keywords.size > 0) throw new TemplateError('the filter format takes positions or names, not both');
      return percentFormat(str(value), keywords.size > 0 ? new Map(keywords) : new Tuple(args));
    },
  ] as ReturnType<typeof filter>,
];

function unsupported(name: string): never {
  throw new TemplateError(`it uses the filter ${name}, which is not supported here`);
}

function boundedWidth(width: Value): number {
  const columns = indexOf(width);
  checkLength(columns);
  return columns;
}

function indent(text: string, by: string, { first, blank }: { first: boolean; blank: boolean }): string {
  const lines = splitLines(`${text}\n`, false);
  checkLength(text.length + lines.length * by.length);
  const [head = '', ...rest] = lines;
  const indented = blank ? lines.join(`\n${by}`) : [head, ...rest.map((line) => (line === '' ? line : by + line))].join('\n');
  return first ? by + indented : indented;
}

interface Truncation {
  length: number;
  killWords: boolean;
  end: string;
  leeway: number;
}

function truncate(text: string, { length, killWords, end, leeway }: Truncation): string {
  const room = length - codePointCount(end);
  if (room < 0 || leeway < 0) throw new TemplateError('it truncates to a length that is shorter than the end');
  if (codePointCount(text) <= length + leeway) return text;
  const points = codePoints(text).slice(0, room);
  const cut = typeof points === 'string' ? points : points.join('');
  return (killWords ? cut : rsplit(cut, ' ', 1)[0]!) + end;
}

/** `indent` of json.dumps: a number of spaces, or the text itself. */
function indentation(given: Value): string | null {
  if (given === null) return null;
  return typeof given === 'string' ? given : ' '.repeat(Math.max(0, boundedWidth(given)));
}

function pair(separators: Value): [string, string] | null {
  if (separators === null) return null;
  const given = itemsOf(separators);
  if (given?.length !== 2) throw new TemplateError(`tojson has the separators ${repr(separators)}, which are not a pair of strings`);
  return [asText(given[0]!), asText(given[1]!)];
}
