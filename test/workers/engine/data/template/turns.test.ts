import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../../../reference/fixtures.ts';
import { TEMPLATE_FAMILIES, today } from '../../../../../reference/template-measures.ts';
import type { Role } from '../../../../../src/formats/chat-message.ts';
import type { ChatMessage } from '../../../../../src/formats/examples.ts';
import { ChatTemplate } from '../../../../../workers/engine/data/template/chat-template.ts';

const open = (source: string) => new ChatTemplate(source, { specialTokens: { bos_token: '<s>', eos_token: '</s>' }, today });
const family = (name: string) => readFileSync(referencePath('chat-templates', name, 'chat_template.jinja'), 'utf8');
const say = (role: Role, content: string): ChatMessage => ({ role, content, weight: 1, extra: new Map() });

/** @returns for each of the assistant's turns, what renderings of their own give before and after it; an error where one is refused */
function separately(template: ChatTemplate, messages: readonly ChatMessage[]) {
  const render = (count: number, addGenerationPrompt: boolean) =>
    template.render(messages.slice(0, count), { tools: null, addGenerationPrompt }).text;
  return messages.flatMap(({ role }, message) =>
    role === 'assistant' ? [{ message, before: render(message, true), after: render(message + 1, false) }] : [],
  );
}

function together(template: ChatTemplate, messages: readonly ChatMessage[]) {
  const { text, turns } = template.turns(messages, { tools: null });
  const whole = (rendered: number | string) => (typeof rendered === 'number' ? text.slice(0, rendered) : rendered);
  return turns.map(({ message, before, after }) => ({ message, before: whole(before), after: whole(after) }));
}

/** Which of several beginnings is refused first, and so with which message, may differ. */
const outcome = <T>(work: () => T): T | 'refused' => {
  try {
    return work();
  } catch {
    return 'refused';
  }
};

const SYSTEM = say('system', 'Be 🙂 brief.');
const CONVERSATIONS: ChatMessage[][] = [
  [say('user', 'a'), say('assistant', 'b')],
  [
    SYSTEM,
    say('user', 'a'),
    say('assistant', 'b'),
    say('user', 'c'),
    say('assistant', '<think>\nd\n</think>\n\ne'),
    say('user', 'f'),
    say('assistant', 'g'),
  ],
  [say('user', 'a'), say('assistant', '<think>b</think>c'), say('user', 'a'), say('assistant', 'c'), say('user', 'a'), say('assistant', 'b')],
  [say('assistant', 'first'), say('assistant', 'second'), say('user', 'x'), say('user', 'y'), say('assistant', 'third')],
  [SYSTEM, say('assistant', 'only')],
];

/** Templates that look at other messages than the current one, or keep what a continued rendering must put back. */
const LOOKING: Record<string, string> = {
  'loop.last': "{% for m in messages %}{{ m.content }}{{ ';' if not loop.last else '.' }}{% endfor %}{{ add_generation_prompt }}",
  'loop.nextitem': '{% for m in messages %}{{ m.content }}<{{ (loop.nextitem or {}).role }}>{% endfor %}',
  'loop.length': '{% for m in messages %}{{ loop.index }}/{{ loop.length }} {% endfor %}',
  'loop.revindex from the third message on':
    '{% for m in messages %}{{ m.content }}{% if loop.index > 2 %}{{ loop.revindex }}{% endif %}{% endfor %}',
  'loop.previtem, cycle and changed':
    "{% for m in messages %}{{ (loop.previtem or {}).role }}{{ loop.cycle('x', 'y', 'z') }}{{ loop.changed(m.content) }}{% endfor %}",
  'the next message by its index':
    '{% for m in messages %}{{ m.content }}{% if messages[loop.index0 + 1] %}+{{ messages[loop.index0 + 1].role }}{% endif %}{% endfor %}',
  'the message after the next': '{% for m in messages %}{{ m.content }}{{ (messages[loop.index0 + 2] or {}).content }}{% endfor %}',
  'the last message, first': '{{ messages[-1].content }}{% for m in messages %}{{ m.content }}{% endfor %}',
  'the last message, in the loop': '{% for m in messages %}{{ m.content }}{% if m == messages[-1] %}!{% endif %}{% endfor %}',
  'the last message, afterwards': '{% for m in messages %}{{ m.content }}{% endfor %}{{ messages[-1].role }}{{ messages | length }}',
  'the number of messages': '{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}',
  'a loop backwards before it':
    "{% set ns = namespace(last=-1) %}{% for m in messages[::-1] %}{% if m.role == 'user' and ns.last < 0 %}{% set ns.last = messages | length - loop.index %}{% endif %}{% endfor %}{% for m in messages %}{{ m.content }}{{ loop.index0 > ns.last }}{% endfor %}",
  'two loops': "{% for m in messages %}{{ m.role }}{% endfor %}|{% for m in messages %}{{ m.content }}{% endfor %}{{ '>' if add_generation_prompt }}",
  'a loop that ends early before it':
    "{% for m in messages %}{% if m.role == 'assistant' %}{% break %}{% endif %}{{ m.role }}{% endfor %}|{% for m in messages %}{{ m.content }}{% endfor %}",
  'a loop that ends early':
    "{% for m in messages %}{% if loop.index == 4 %}{% break %}{% endif %}{{ m.content }}{% else %}none{% endfor %}{{ '>' if add_generation_prompt }}",
  'rounds that are left':
    "{% for m in messages %}{{ m.role }}{% if m.role == 'user' %}{% continue %}{% endif %}{{ m.content }}{% else %}none{% endfor %}",
  'only rounds that are left': '{% for m in messages %}{{ m.role }}{% continue %}{% else %}none{% endfor %}',
  'the rest after a system message':
    "{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set s = '' %}{% set rest = messages %}{% endif %}{% for m in rest %}{% if loop.first %}{{ s }}{% endif %}{{ m.content }}{{ loop.index }}{% endfor %}{{ '>' if add_generation_prompt }}",
  'a slice with an end': '{% for m in messages[:3] %}{{ m.content }}{% endfor %}|{% for m in messages %}{{ m.role }}{% endfor %}',
  'a namespace':
    "{% set ns = namespace(n=0, seen='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% if m.role == 'assistant' %}{% set ns.seen = ns.seen ~ ns.n %}{% endif %}{{ m.content }}{{ ns.seen }}{% endfor %}{{ ns.n }}{{ ns.seen }}",
  'a namespace for each message':
    '{% for m in messages %}{% set ns = namespace(n=loop.index) %}{% set ns.n = ns.n * 2 %}{{ ns.n }}{{ m.content }}{% endfor %}',
  'a cycler and a joiner':
    "{% set c = cycler('a', 'b', 'c') %}{% set j = joiner(', ') %}{% for m in messages %}{{ j() }}{{ c.next() }}{{ m.content }}{% endfor %}{{ c.current }}",
  'a generator that the loop uses up':
    "{% set roles = messages | map(attribute='role') %}{% for m in messages %}{{ roles | first }}{{ m.content }}{% endfor %}",
  'a generator in a namespace':
    "{% set ns = namespace(it=['x', 'y', 'z'] | map('upper')) %}{% for m in messages %}{{ ns.it | first }}{{ m.content }}{% endfor %}",
  'a macro that sees variables':
    '{% set count = 0 %}{% macro show(m) %}[{{ m.content }}{{ count }}]{% endmacro %}{% for m in messages %}{{ show(m) }}{% endfor %}{% set count = 7 %}{{ show(messages[0]) }}',
  'a macro over all messages':
    '{% macro all() %}{% for m in messages %}{{ m.role }}{% endfor %}{% endmacro %}{% for m in messages %}{{ m.content }}{% if loop.first %}{{ all() }}{% endif %}{% endfor %}',
  'the prompt in the loop': "{% for m in messages %}{{ m.content }}{{ 'p' if add_generation_prompt }}{% endfor %}",
  'the prompt at the last message': '{% for m in messages %}{% if loop.last and add_generation_prompt %}>{% endif %}{{ m.content }}{% endfor %}',
  'a loop with a condition': "{% for m in messages if m.role != 'system' %}{{ m.content }}{{ loop.last }}{% endfor %}",
  'a loop inside if':
    "{% if messages %}{% if true %}{% for m in messages %}{{ m.content }}{% endfor %}in{% endif %}mid{% endif %}{{ 'out' ~ add_generation_prompt }}",
  'a loop inside with, a set block and a filter block':
    '{% with x = 1 %}{% for m in messages %}{{ m.content }}{% endfor %}{% endwith %}{% set b %}{% for m in messages %}{{ m.role }}{% endfor %}{% endset %}{{ b }}{% filter upper %}{% for m in messages %}{{ m.role }}{% endfor %}{% endfilter %}',
  'all messages as JSON': '{% for m in messages %}{{ m.content }}{% endfor %}{{ messages | tojson }}',
  'all messages as JSON in the loop': '{% for m in messages %}{{ m.content }}{% if loop.index == 2 %}{{ messages | tojson }}{% endif %}{% endfor %}',
  'a later message by a filter':
    "{% for m in messages %}{{ m.content }}{% if 'c' in (messages | map(attribute='content') | list) %}!{% endif %}{% endfor %}",
  'variables of the loop':
    '{% set x = 1 %}{% for m in messages %}{% if loop.index == 2 %}{% set x = 5 %}{% endif %}{{ x }}{{ m.content }}{% endfor %}{{ x }}',
  'a refusal of what is not alternating':
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content }}{% endfor %}",
  'a refusal of a conversation that ends with the assistant':
    "{% for m in messages %}{{ m.content }}{% endfor %}{% if messages[-1].role == 'assistant' and messages | length < 4 %}{{ raise_exception('too short') }}{% endif %}",
  'what it printed so far': "{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t + m.content %}{% endfor %}{{ ns.t }}",
  'loop over pairs': '{% for i in range(messages | length) %}{{ i }}{{ messages[i].content }}{% endfor %}',
  'the loop kept in a variable': '{% for m in messages %}{% set l = loop %}{% for c in m.content %}{{ l.index }}{{ c }}{% endfor %}{% endfor %}',
};

describe('ChatTemplate.turns', () => {
  it.each([...TEMPLATE_FAMILIES.map((name) => [name, family(name)] as const), ...Object.entries(LOOKING)])(
    'gives what renderings of their own give › %s',
    (_, source) => {
      const template = open(source);
      for (const messages of CONVERSATIONS)
        expect(outcome(() => together(template, messages))).toEqual(outcome(() => separately(template, messages)));
    },
  );

  it.each(['zephyr', 'llama2', 'llama3.1', 'qwen2.5', 'gemma3', 'phi3', 'smollm3', 'olmo2'])(
    'takes twice as many steps for twice as many messages › %s',
    (name) => {
      const template = open(family(name));
      const steps = (count: number) => {
        const messages = Array.from({ length: count }, (_, index) => say(index % 2 === 0 ? 'user' : 'assistant', `Message ${index}`));
        return template.turns(messages, { tools: null }).steps;
      };
      const [some, twice] = [steps(200), steps(400)];
      expect(some).toBeGreaterThan(400);
      expect(twice).toBeLessThan(2.01 * some);
    },
  );

  it('gives lengths where the whole conversation begins with the rendering, and its text where it does not', () => {
    const forgets =
      "{% for m in messages %}[{{ m.role }}]{{ m.content if loop.last else m.content | upper }}{% endfor %}{{ '[assistant]' if add_generation_prompt }}";
    const messages = [say('user', 'a'), say('assistant', 'b'), say('user', 'c'), say('assistant', 'd')];
    expect(open(forgets).turns(messages, { tools: null, only: [1, 3] })).toMatchObject({
      text: '[user]A[assistant]B[user]C[assistant]d',
      turns: [
        { message: 1, before: '[user]a[assistant]', after: '[user]A[assistant]b' },
        { message: 3, before: '[user]A[assistant]B[user]c[assistant]', after: 38 },
      ],
    });
    const plain = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ '[assistant]' if add_generation_prompt }}";
    expect(open(plain).turns(messages, { tools: null }).turns).toEqual([
      { message: 1, before: 18, after: 19 },
      { message: 3, before: 37, after: 38 },
    ]);
  });
});
