import { applyEdits, modify } from 'jsonc-parser';

const formattingOptions = { insertSpaces: true, tabSize: 2 };

/** Changes fields of a JSON object and leaves all other text as it is: transformers takes 0.0 for a float, and refuses 0. */
export const withFields = (text: string, fields: Readonly<Record<string, unknown>>): string =>
  Object.entries(fields).reduce((json, [field, value]) => applyEdits(json, modify(json, [field], value, { formattingOptions })), text);
