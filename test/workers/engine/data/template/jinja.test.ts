import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../../reference/fixtures.ts';
import { type JsonObject, parseJsonValue } from '../../../../../src/formats/json-value.ts';
import { ChatTemplate } from '../../../../../workers/engine/data/template/chat-template.ts';

interface Reference {
  preamble: string;
  snippets: { template: string; text?: string; refused?: true }[];
}

const { preamble, snippets } = readReference<Reference>('jinja.json');
const values = (parseJsonValue(readFileSync(referencePath('jinja.json'), 'utf8')) as JsonObject).get('values')!;

describe('ChatTemplate › where JavaScript and Python differ', () => {
  it.each(snippets)('renders $template as Python does', ({ template, text, refused }) => {
    const render = () => {
      const chat = new ChatTemplate(preamble + template, { specialTokens: {}, today: new Date(0) });
      const message = { role: 'user', content: '', weight: 1, extra: new Map([['values', values]]) } as const;
      return chat.render([message], { tools: null, addGenerationPrompt: false }).text;
    };
    if (refused) expect(render).toThrow();
    else expect(render()).toBe(text);
  });

  it('forgets between two renderings what the first one set', () => {
    const source = "{% for message in messages %}{% if message.content == 'a' %}{% set seen = true %}{% endif %}{{ seen }}{% endfor %}";
    const chat = new ChatTemplate(source, { specialTokens: {}, today: new Date(0) });
    const render = (content: string) =>
      chat.render([{ role: 'user', content, weight: 1, extra: new Map() }], { tools: null, addGenerationPrompt: false }).text;
    expect([render('a'), render('b')]).toEqual(['True', '']);
  });
});
