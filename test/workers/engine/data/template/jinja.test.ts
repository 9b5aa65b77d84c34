import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../../reference/fixtures.ts';
import { type JsonObject, parseJsonValue } from '../../../../../src/formats/json-value.ts';
import { ChatTemplate } from '../../../../../workers/engine/data/template/chat-template.ts';

interface Reference {
  preamble: string;
  topics: Record<string, { template: string; text?: string; refused?: true }[]>;
}

const { preamble, topics } = readReference<Reference>('jinja.json');
const values = (parseJsonValue(readFileSync(referencePath('jinja.json'), 'utf8')) as JsonObject).get('values')!;

describe.each(Object.entries(topics))('ChatTemplate › %s', (_, snippets) => {
  it.each(snippets)('renders $template as Python does, or refuses it too', ({ template, text, refused }) => {
    const render = () => {
      const chat = new ChatTemplate(preamble + template, { specialTokens: {}, today: new Date(0) });
      const message = { role: 'user', content: '', weight: 1, extra: new Map([['values', values]]) } as const;
      return chat.render([message], { tools: null, addGenerationPrompt: false }).text;
    };
    if (refused) expect(render).toThrow();
    else expect(render()).toBe(text);
  });
});

const render = (source: string, kwargs: JsonObject = new Map()) => {
  const chat = new ChatTemplate(source, { specialTokens: {}, today: new Date(0) });
  return chat.render([{ role: 'user', content: 'Hi', weight: 1, extra: new Map() }], { tools: null, addGenerationPrompt: false, kwargs }).text;
};

describe('ChatTemplate › what Python can and a chat template has no use for', () => {
  it.each([
    ["{{ '\\N{BULLET}' }}", 'line 1: the escape \\N in a string is not complete or not supported'],
    ['{% block x %}a{% endblock %}', 'line 1: {% block %} is not supported in chat templates'],
    ['\n{% autoescape true %}a{% endautoescape %}', 'line 2: {% autoescape %} is not supported in chat templates'],
    ["{% extends 'a' %}", 'line 1: {% extends %} is not supported in chat templates'],
    ['{{ (-8) ** 0.5 }}', 'it computes a complex number'],
    ['{{ [1, 2] | random }}', 'it uses the filter random, which is not supported here'],
    ["{{ 'a' | wordwrap }}", 'it uses the filter wordwrap, which is not supported here'],
    ["{{ 'a'.encode() }}", 'it uses the string method encode, which is not supported here'],
    ['{{ lipsum() }}', 'it uses lipsum, whose text is random'],
    ['{{ range }}', 'it prints an object of type function, whose text is a memory address'],
    ["{{ ('a' | safe).upper() }}", 'it uses the method upper of an escaped text, which is not supported here'],
    ['{{ (1).bit_length() }}', 'it uses the attribute bit_length of a number, which is not supported here'],
  ])('refuses %s by name', (source, message) => {
    expect(() => render(source)).toThrow(message);
  });
});

describe('ChatTemplate › a template that would take too much', () => {
  it.each([
    ['{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}', /takes more than \d+ steps/],
    ["{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", /makes a text of \d+ characters/],
    ["{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", /makes a text of \d+ characters/],
    ['{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}', /makes a list of \d+ items/],
    ["{{ 'a' * 10 ** 10 }}", /makes a text of \d+ characters/],
    ["{{ 'a'.center(10 ** 10) }}", /makes a text of \d+ characters/],
    ["{{ '%999999999d' % 1 }}", /makes a text of \d+ characters/],
    ["{{ ('a' * 10 ** 5).replace('a', 'b' * 10 ** 5) }}", /makes a text of \d+ characters/],
    ["{% for i in range(9999) %}{{ 'a' * 10 ** 6 }}{% endfor %}", /prints more than \d+ characters/],
    ['{{ 9 ** 99999 }}', /computes an integer of more than \d+ bits/],
    ['{% set ns = namespace(x=3) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}', /computes an integer of more than \d+ bits/],
    ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', /call each other more than \d+ deep/],
    ['{% for x in [[[]]] recursive %}{{ loop(x) }}{{ loop([[]]) }}{% endfor %}', /call each other more than \d+ deep/],
    ['{{ range(10 ** 9) }}', /makes a range of 1000000000 items/],
  ])('is stopped: %s', (source, message) => {
    expect(() => render(source)).toThrow(message);
  });
});

describe('ChatTemplate', () => {
  it('forgets between two renderings what the first one set', () => {
    const source = "{% for message in messages %}{% if message.content == 'a' %}{% set seen = true %}{% endif %}{{ seen }}{% endfor %}";
    const chat = new ChatTemplate(source, { specialTokens: {}, today: new Date(0) });
    const rendered = (content: string) =>
      chat.render([{ role: 'user', content, weight: 1, extra: new Map() }], { tools: null, addGenerationPrompt: false }).text;
    expect([rendered('a'), rendered('b')]).toEqual(['True', '']);
  });
});
