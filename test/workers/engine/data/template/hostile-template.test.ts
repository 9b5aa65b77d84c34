import { describe, expect, it } from 'vitest';
import type { ChatMessage } from '../../../../../src/formats/examples.ts';
import { Refusal } from '../../../../../src/formats/refusal.ts';
import { ChatTemplate } from '../../../../../workers/engine/data/template/chat-template.ts';
import { TimeLimit } from '../../../../../workers/engine/data/template/jinja/limits.ts';
import { Template } from '../../../../../workers/engine/data/template/jinja/template.ts';
import { templateKeys } from '../../../../../workers/engine/data/template/template-keys.ts';
import { renderMessages, renderTurns } from '../../../../../workers/engine/data/turns.ts';
import { processorStopwatch } from '../../../../processor-time.ts';

const LONG_TEXT = "{% set ns = namespace(s='a') %}{% for i in range(23) %}{% set ns.s = ns.s + ns.s %}{% endfor %}";

describe('a template whose few steps take long', () => {
  it.each([
    ['in many rounds', `${LONG_TEXT}{% for i in range(99999) %}{% set x = ns.s | replace('a', 'b') %}{% endfor %}`],
    ['in one expression', `${LONG_TEXT}{% set x = ns.s${" | replace('a', 'b') | replace('b', 'a')".repeat(1_000)} %}`],
    ['in method calls', `${LONG_TEXT}{% set x = [${"ns.s.replace('a', 'b'), ".repeat(1_000)}] | length %}`],
    ['in sums', `${LONG_TEXT}{% for i in range(99999) %}{% set x = (ns.s + '!') | upper %}{% endfor %}`],
    [
      'in lists that grow',
      '{% set ns = namespace(l=[0]) %}{% for i in range(99999) %}{% set ns.l = ns.l + ns.l %}{% if ns.l | length > 1000000 %}{% set ns.l = [0] %}{% endif %}{% endfor %}',
    ],
    ['in a macro that calls itself twice', '{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}'],
  ])('%s › is stopped when its time is over', (_, source) => {
    const spentMs = processorStopwatch();
    const render = () => new Template(source).render(new Map(), { today: new Date(0), timeLimit: new TimeLimit(300) });
    expect(render).toThrow(expect.objectContaining({ name: 'TemplateTooSlow' }) as Error);
    expect(spentMs()).toBeLessThan(15_000);
  });
});

describe('a template without end', () => {
  const endless = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}';
  const messages: ChatMessage[] = ['user', 'assistant'].map((role) => ({ role: role as 'user', content: 'x', weight: 1, extra: new Map() }));
  const conversation = { messages, tools: null } as Parameters<typeof renderMessages>[1];

  it('is named, and no further conversation is tried', () => {
    const [isOwn, code, message] = [false, 'corrupt_model_file', "the model's chat template (default) was stopped: it takes more than"];
    const template = new ChatTemplate(endless, { specialTokens: {}, today: new Date(0), isOwn });
    const spentMs = processorStopwatch();
    let firstMs = 0;
    for (const render of [renderMessages, renderTurns, renderTurns, renderTurns] as ((...args: Parameters<typeof renderMessages>) => unknown)[]) {
      try {
        render(template, conversation);
        expect.unreachable();
      } catch (error) {
        firstMs ||= spentMs();
        expect(error).toBeInstanceOf(Refusal);
        expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
      }
    }
    expect(spentMs()).toBeLessThan(firstMs + 500);
  });
});

describe('the source of a template', () => {
  it('of a megabyte is refused before it is read', () => {
    const spentMs = processorStopwatch();
    const open = () => new ChatTemplate('{{ a }}'.repeat(150_000), { specialTokens: {}, today: new Date(0) });
    expect(open).toThrow(/the model's chat template cannot be parsed: it has \d+ characters; the limit is 262144/);
    expect(spentMs()).toBeLessThan(1_000);
  });

  it.each([
    ['expressions', '{{ a }}'],
    ['blocks', '{% set a = 1 %}'],
    ['brackets', '{{ ['],
    ['loops without messages', '{% for x in y %}'],
    ['loops', 'for x in '],
    ['indices', 'messages['],
    ['spaces', '{%          '],
    ['comments', '{# -#'],
    ['quotes', "{{ 'a"],
    ['numbers', '{{ 1_1_1_1'],
  ])('of %s only, as long as is allowed, is parsed or refused within seconds', (_, piece) => {
    const source = piece.repeat(Math.floor((256 * 1024) / piece.length));
    const spentMs = processorStopwatch();
    try {
      new ChatTemplate(source, { specialTokens: {}, today: new Date(0) });
    } catch (error) {
      expect(error).toBeInstanceOf(Refusal);
    }
    const keys = templateKeys(source);
    for (const key of ['content', 'tools']) [keys.mentions(key), keys.readsOfMessage(key), keys.readsVariable(key)];
    expect(spentMs()).toBeLessThan(20_000);
  });
});
