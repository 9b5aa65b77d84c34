/** Texts of the form, and the values that they stand for. Pure. */

/** @typedef {import('./fields.js').Field} Field */

/** What newer browsers add to JSON: the text of a number, and numbers that are written as they were read. */
const { parse, rawJSON, isRawJSON } = /** @type {{
  parse(text: string, reviver: (key: string, value: unknown, context?: { source?: string }) => unknown): unknown,
  rawJSON?(text: string): object,
  isRawJSON?(value: unknown): boolean,
}} */ (/** @type {unknown} */ (JSON));

/**
 * Numbers stay as they are written, where the browser can: to a chat template, 1.0 is not 1.
 * @param {string} text @throws SyntaxError
 */
const parseJson = (text) =>
  parse(text, (_key, value, context) => (typeof value === 'number' && context?.source !== undefined && rawJSON ? rawJSON(context.source) : value));

/** JSON, or the text itself where it is none. @param {string} text @returns {unknown} */
export function jsonOrText(text) {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

/** A number that parseJson has kept as it was written. @param {unknown} value @returns {value is { rawJSON: string }} */
export const isRawNumber = (value) => isRawJSON?.(value) === true;

/** What is wrong with a text that should be JSON; empty: nothing. @param {string} text @param {(value: unknown) => boolean} accepts @param {string} hint if it accepts another value */
export function jsonProblem(text, accepts, hint) {
  try {
    return accepts(parseJson(text)) ? '' : hint;
  } catch (error) {
    return `This is not JSON: ${/** @type {Error} */ (error).message}.`;
  }
}

/** What is wrong with a text that should be a JSON object; empty: nothing. @param {string} text */
export const objectProblem = (text) => jsonProblem(text, isObject, 'Write a JSON object, such as {"key": true}.');

/** @param {unknown} value */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value);

/** Not names between commas: PEFT's word for all linear layers, and regular expressions. */
const ONE_TEXT = /^\s*all-linear\s*$|[^\w.,\s-]/;

/** The options of a field that is true or false. */
const YES_OR_NO = ['true', 'false'];

/** The value of a filled-in field. What should be JSON and is not stays a text, which the form does not send. @param {Field} field @param {string} text @returns {unknown} */
export function valueIn({ isList, isLines, isJson, isText, options }, text) {
  if (options?.join() === YES_OR_NO.join()) return text === 'true';
  if (isJson) return objectProblem(text) === '' ? parseJson(text) : text;
  if (isLines) return split(text, /\n/);
  if (isList) return ONE_TEXT.test(text) ? text.trim() : split(text, /[\s,]+/);
  return isText || Number.isNaN(Number(text)) ? text : Number(text);
}

/** Parts that are not empty. @param {string} text @param {RegExp} by */
export const split = (text, by) =>
  text
    .split(by)
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** The text that stands for a value; what is left to the service is empty. @param {Field} field @param {unknown} value */
export function textOf({ isList, isLines }, value) {
  if (value === undefined || value === null || value === 'auto') return '';
  if (Array.isArray(value) && (isList || isLines)) return value.join(isLines ? '\n' : ', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Fields that are filled in. @param {readonly Field[]} fields @param {Record<string, string>} texts @returns {Record<string, unknown>} */
export const filledIn = (fields, texts) =>
  Object.fromEntries(
    fields.flatMap((field) => ((texts[field.name] ?? '').trim() === '' ? [] : [[field.name, valueIn(field, texts[field.name] ?? '')]])),
  );

/** Settings as texts for the fields that there are, and the rest as it is. @param {readonly Field[]} fields @param {Record<string, unknown>} settings */
export function sorted(fields, settings) {
  const texts = Object.fromEntries(fields.map((field) => [field.name, textOf(field, settings[field.name])]));
  const rest = Object.fromEntries(Object.entries(settings).filter(([name]) => !fields.some((field) => field.name === name)));
  return { texts, rest };
}
