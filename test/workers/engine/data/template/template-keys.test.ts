import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../../../reference/fixtures.ts';
import { templateKeys } from '../../../../../workers/engine/data/template/template-keys.ts';

describe('templateKeys', () => {
  it.each([
    '{% for message in messages %}{{ message.mood }}{% endfor %}',
    "{% for turn in messages[1:] %}{{ turn['mood'] }}{% endfor %}",
    '{% for (m) in loop_messages %}{{ m.get("mood", "") }}{% endfor %}',
    "{% for x in messages %}{% if 'mood' in x %}{% endif %}{% endfor %}",
    "{% for x in messages %}{% if 'mood' not in x %}{% endif %}{% endfor %}",
    '{{ messages[0].mood }}',
    "{{ messages[-1]['mood'] }}",
    '{% set last = messages[-1] %}{{ last.mood }}',
    '{% macro show(message) %}{{ message . mood }}{% endmacro %}',
  ])('%s › reads mood of a message', (source) => {
    expect(templateKeys(source).readsOfMessage('mood')).toBe(true);
    for (const other of ['moo', 'moods', 'm.od']) expect(templateKeys(source).readsOfMessage(other)).toBe(false);
  });

  it("%s › reads a tool's name, but not a message's", () => {
    const keys = templateKeys('{% for message in messages %}{% for call in message.tool_calls %}{{ call.function.name }}{% endfor %}{% endfor %}');
    expect([keys.mentions('name'), keys.readsOfMessage('name'), keys.readsOfMessage('tool_calls')]).toEqual([true, false, true]);
    expect(keys.mentions('names')).toBe(false);
  });

  it('finds the variables that it reads', () => {
    const { readsVariable } = templateKeys("{% if enable_thinking is defined and enable_thinking %}{{ message.mode }} 'tools' {% endif %}");
    expect(['enable_thinking', 'enable', 'mode', 'thinking'].map(readsVariable)).toEqual([true, false, false, false]);
  });

  it.each([
    ['qwen3', { tool_calls: true, reasoning_content: true, name: false, weight: false }],
    ['llama3.1', { tool_calls: true, name: false }],
    ['mistral-v0.3', { tool_calls: true, tool_call_id: true }],
    ['gemma2', { tool_calls: false, name: false }],
  ])('of %s › finds what the model reads of a message', async (family, expected) => {
    const { readsOfMessage } = templateKeys(await readFile(referencePath('chat-templates', family, 'chat_template.jinja'), 'utf8'));
    expect(Object.fromEntries(Object.keys(expected).map((key) => [key, readsOfMessage(key)]))).toEqual(expected);
  });
});
