import { applyEdits, modify } from 'jsonc-parser';

const formattingOptions = { insertSpaces: true, tabSize: 2 };

/** Changes fields of a JSON object and leaves all other text as it is: to transformers 0.0 is a float and 0 is none. */
export const withFields = (text: string, fields: Readonly<Record<string, unknown>>): string =>
  Object.entries(fields).reduce((json, [field, value]) => applyEdits(json, modify(json, [field], value, { formattingOptions })), text);
