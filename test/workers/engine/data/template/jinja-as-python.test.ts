import { describe, expect, it } from 'vitest';
import { readReference } from '../../../../../reference/fixtures.ts';
import { ChatTemplate } from '../../../../../workers/engine/data/template/chat-template.ts';

interface Reference {
  values: Record<string, unknown>;
  preamble: string;
  snippets: { template: string; text?: string; refused?: true }[];
}

const { values, preamble, snippets } = readReference<Reference>('jinja.json');

describe('ChatTemplate › where JavaScript and Python differ', () => {
  it.each(snippets)('renders $template as Python does', ({ template, text, refused }) => {
    const chat = new ChatTemplate(preamble + template, { specialTokens: {}, today: new Date(0) });
    const render = () => chat.render([{ role: 'user', content: '', weight: 1, extra: { values } }], { tools: null, addGenerationPrompt: false }).text;
    if (refused) expect(render).toThrow();
    else expect(render()).toBe(text);
  });

  it('forgets between two renderings what the first one set', () => {
    const source = "{% for message in messages %}{% if message.content == 'a' %}{% set seen = true %}{% endif %}{{ seen }}{% endfor %}";
    const chat = new ChatTemplate(source, { specialTokens: {}, today: new Date(0) });
    const render = (content: string) =>
      chat.render([{ role: 'user', content, weight: 1, extra: {} }], { tools: null, addGenerationPrompt: false }).text;
    expect([render('a'), render('b')]).toEqual(['True', '']);
  });
});
