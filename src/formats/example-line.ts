/** A line of a file of examples as JSON, with the checks that the examples of all methods share. */
import { type At, shown } from './chat-message.ts';
import type { ExampleKeys } from './example-keys.ts';
import { type ExampleFile, ExampleRefusal } from './example-refusal.ts';
import { halfSurrogate, parseJsonLine } from './json-line.ts';
import { isDeeperThan, MAX_JSON_DEPTH } from './json-value.ts';

/** @throws ExampleRefusal */
export function parseLine(
  line: string,
  { lineNumber, param, keys }: { lineNumber: number; param: ExampleFile; keys: ExampleKeys },
): { value: unknown; at: At } {
  const name = `line ${lineNumber}`;
  const fail: At['fail'] = failInLine.bind(null, param, lineNumber);
  if (line.trim() === '') throw fail(`${name} is blank`, 'Remove it: every line holds one example.');
  const value = parseJsonLine(line, (problem, hint) => fail(`${name} ${problem}`, hint));
  if (isDeeperThan(MAX_JSON_DEPTH, value)) throw fail(`${name} has lists and objects that are nested more than ${MAX_JSON_DEPTH} deep`);
  checkText(line, value, { name, fail });
  return { value, at: { line: lineNumber, text: line, name, fail, keys } };
}

/** Counts what only a chat template reads, in an example of plain text. */
export function countTemplateKeys(value: Readonly<Record<string, unknown>>, { keys, line }: Pick<At, 'keys' | 'line'>): void {
  for (const key of ['tools', 'chat_template_kwargs']) if ((value[key] ?? null) !== null) keys.count('example', key, line);
}

const failInLine = (param: ExampleFile, line: number, ...[problem, hint, where]: Parameters<At['fail']>) =>
  new ExampleRefusal(param, problem, { ...where, line, hint });

/** @throws Refusal for text that no tokenizer can encode */
function checkText(line: string, value: unknown, { name, fail }: Pick<At, 'name' | 'fail'>): void {
  const found = halfSurrogate(line, value);
  if (found === null) return;
  const [first, index, ...inside] = found.path;
  const isMessage = typeof index === 'number' && (first === 'messages' || first === 'prompt' || first === 'completion');
  const key = (isMessage ? inside : found.path).find((step) => typeof step === 'string');
  const message = isMessage ? `, message ${index + 1}${first === 'messages' ? '' : ` of the ${first}`}` : '';
  const where = `${name}${message} has half a surrogate pair (${found.half})${key === undefined ? '' : ` in ${shown(key)}`}`;
  throw fail(where, 'It is no character: write the whole pair, as in "\\ud83d\\ude00", or leave it out.', {
    ...(key !== undefined && { field: key }),
    ...(isMessage && { message: index + 1 }),
  });
}
