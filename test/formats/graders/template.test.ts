import { describe, expect, it } from 'vitest';
import { checkTemplate, fill, namespacesOf } from '../../../src/formats/graders/template.ts';
import { processorStopwatch } from '../../processor-time.ts';

/** What takes longer is not linear: each of these texts takes a few milliseconds. */
const QUICK_MS = 2_000;

describe('a template', () => {
  it.each([
    ['{{item}}', '{"a":[1]}'],
    ['{{ item.a[0] }}-{{item.a.0}}', '1-1'],
    ['{{sample.output_text}}', '{"b":"{{item.a}}"}'],
    ['{{sample.output_json.b}}', '{{item.a}}'],
    ['{ {{item.a}} } {{', '{ [1] } {{'],
    ['no placeholder', 'no placeholder'],
  ])('%s becomes %s', (template, text) => {
    checkTemplate(template, { param: 'input' });
    expect(fill(template, namespacesOf({ a: [1] }, '{"b":"{{item.a}}"}'), 100)).toBe(text);
  });

  it.each([
    ['of placeholders that never end', '{{'.repeat(8_000)],
    ['of spaces within a placeholder that does not end', `{{${' '.repeat(16_000)}`],
    ['that names a long text a thousand times', '{{item.long}}'.repeat(1_000)],
    ['that asks a thousand times for a part of a long sample', '{{sample.output_json[0]}}'.repeat(600)],
  ])('%s › is filled in, or refused, at once', (_, template) => {
    const spentMs = processorStopwatch();
    const namespaces = namespacesOf({ long: 'x'.repeat(1_000_000) }, JSON.stringify(Array(400_000).fill(1)));
    checkTemplate(template, { param: 'input' });
    try {
      expect(fill(template, namespaces, 20_000).length).toBeLessThanOrEqual(20_000);
    } catch (error) {
      expect(error).toMatchObject({ flag: 'other_error' });
    }
    expect(spentMs()).toBeLessThan(QUICK_MS);
  });
});
