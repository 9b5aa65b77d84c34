/** Values and names from outside as messages quote them: they may be megabytes long, or nested too deeply for JSON.stringify. */

/** Enough to recognise a value. */
const MAX_SHOWN = 60;
/** Longer than the path of any known field. */
const MAX_NAME = 100;

/** @returns the value as JSON, cut; `missing` for undefined. Only what is shown is written */
export function shown(value: unknown, maxLength = MAX_SHOWN): string {
  return value === undefined ? 'missing' : cut(written(value, maxLength), maxLength);
}

/** @returns the text, or its beginning */
export const cut = (text: string, maxLength = MAX_NAME): string => (text.length > maxLength ? `${text.slice(0, maxLength)}…` : text);

/** @returns the whole JSON if it fits the room, else a beginning that is longer than the room. Each level of nesting takes room, which bounds the recursion */
function written(value: unknown, room: number): string {
  if (room < 0) return '';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, room + 1));
  if (typeof value !== 'object' || value === null) return String(value);
  const isList = Array.isArray(value);
  const keys = isList ? value.keys() : Object.keys(value);
  let text = isList ? '[' : '{';
  for (const key of keys) {
    if (text.length > room) return text;
    if (text.length > 1) text += ',';
    if (!isList) text += `${written(key, room - text.length)}:`;
    text += written((value as Record<string | number, unknown>)[key], room - text.length);
  }
  return text + (isList ? ']' : '}');
}
