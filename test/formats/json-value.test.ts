import { describe, expect, it } from 'vitest';
import { readReference } from '../../reference/fixtures.ts';
import { parseJsonValue } from '../../src/formats/json-value.ts';
import { pythonJson } from '../../workers/engine/data/template/jinja/json.ts';

interface Reference {
  text: string;
  refused?: true;
  /** `json.dumps(value)` */
  ascii?: string;
  /** `json.dumps(value, ensure_ascii=False)`; absent with half a surrogate pair, which the fixture cannot hold. */
  dumped?: string;
}

const short = ({ text, ...rest }: Reference) => ({
  name: text.length > 60 ? `${text.slice(0, 30)}… (${text.length} characters)` : JSON.stringify(text),
  text,
  ...rest,
});

describe('parseJsonValue', () => {
  it.each(readReference<Reference[]>('json-values.json').map(short))(
    "reads $name as Python's json.loads does",
    ({ text, refused, ascii, dumped }) => {
      if (refused) {
        expect(() => parseJsonValue(text)).toThrow();
        return;
      }
      const value = parseJsonValue(text);
      expect(pythonJson(value, { ensureAscii: true })).toBe(ascii);
      if (dumped !== undefined) expect(pythonJson(value)).toBe(dumped);
    },
  );
});
