import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../../reference/fixtures.ts';
import { parseExample } from '../../../../../src/formats/examples.ts';
import { ChatTemplate } from '../../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../../workers/engine/data/tokenizer.ts';

interface Reference {
  /** Content by file, `chat_template` being that of tokenizer_config.json; and the template that transformers chooses, null where it raises. */
  directories: { files: Record<string, unknown>; plain: string | null; withTools: string | null }[];
  template: string;
  lines: { line: string; text?: string; refused?: true }[];
}

const { directories, template, lines } = readReference<Reference>('template-files.json');
const tokenizerFile = referencePath('templates', 'chatml', 'tokenizer', 'tokenizer.json');
const today = new Date(0);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-template-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

async function open(files: Record<string, unknown>, job = {}): Promise<ChatTemplate | null> {
  copyFileSync(tokenizerFile, join(dir, 'tokenizer.json'));
  const { chat_template, ...rest } = files;
  writeFileSync(join(dir, 'tokenizer_config.json'), JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast', chat_template }));
  for (const [name, content] of Object.entries(rest)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content as string);
  }
  return ChatTemplate.open(await Tokenizer.open(dir), today, job);
}

/** The templates of these directories print nothing but themselves. @returns null without a template for it */
function chosen(opened: ChatTemplate | null, tools: [] | null): string | null {
  try {
    return opened?.render([], { tools, addGenerationPrompt: false }).text ?? null;
  } catch {
    return null;
  }
}

describe('ChatTemplate.open › chooses the template that transformers chooses', () => {
  it.each(directories.map((each) => ({ ...each, names: Object.keys(each.files).join(', ') || 'nothing' })))(
    'among $names',
    async ({ files, plain, withTools }) => {
      const opened = await open(files);
      expect({ plain: chosen(opened, null), withTools: chosen(opened, []) }).toEqual({ plain, withTools });
    },
  );

  it('says which templates there are when none is for the example', async () => {
    const opened = await open({ chat_template: ['tool_use', 'rag'].map((name) => ({ name, template: name })) });
    expect(() => opened!.render([], { tools: null, addGenerationPrompt: false })).toThrow(
      'needs a chat template that the model does not have: its templates are rag, tool_use; name one of them default, or give the job a chat_template',
    );
  });

  it.each([[5], [[{ name: 'default' }]], [['text']]])('refuses a tokenizer_config.json with the chat_template %j', async (chat_template) => {
    await expect(open({ chat_template })).rejects.toMatchObject({
      code: 'corrupt_model_file',
      message: /chat_template that is neither a text nor a list/,
    });
  });
});

describe('ChatTemplate.open › of a job', () => {
  it("takes the job's template instead of all of the model's, and its variables, which a line's own override", async () => {
    const files = { 'chat_template.jinja': '{% broken', 'additional_chat_templates/tool_use.jinja': 'model' };
    const opened = (await open(files, { source: '{{ mood }}{{ tools | length }}', kwargs: new Map([['mood', 'calm']]) }))!;
    expect(opened.render([], { tools: [], addGenerationPrompt: false }).text).toBe('calm0');
    const own = new Map([['mood', 'glad']]);
    expect(opened.render([], { tools: [], kwargs: own, addGenerationPrompt: false }).text).toBe('glad0');
    expect(opened).toMatchObject({ isOwn: true, main: { name: 'default' }, toolUse: null });
  });

  it.each([
    ['{% for %}', 'chat_template cannot be parsed: line 1: expected a name to assign to, got the end of the block'],
    ['\n\n{{ x | nosuch }}', "chat_template cannot be parsed: line 3: no filter is named 'nosuch'"],
  ])('refuses the template %j', async (source, message) => {
    await expect(open({}, { source })).rejects.toMatchObject({ code: 'invalid_chat_template', param: 'chat_template', message });
  });

  it('refuses variables that belong to apply_chat_template', async () => {
    await expect(open({}, { source: 'x', kwargs: new Map([['messages', []]]) })).rejects.toMatchObject({
      code: 'invalid_chat_template_kwargs',
      param: 'chat_template_kwargs',
      message: 'chat_template_kwargs has "messages", which is not a variable of the template',
    });
  });
});

describe('ChatTemplate › shows a template what apply_chat_template shows it', () => {
  it.each(lines)('$line', ({ line, text, refused }) => {
    const example = parseExample(line, 1, 'training_file');
    if (example.kind !== 'chat') throw new Error('not a chat');
    const chat = new ChatTemplate(template, { specialTokens: {}, today });
    const render = () => chat.render(example.messages, { tools: example.tools, kwargs: example.templateKwargs, addGenerationPrompt: false }).text;
    if (refused) expect(render).toThrow();
    else expect(render()).toBe(text);
  });
});

describe('ChatTemplate › arguments of a call that are given as JSON text', () => {
  const shown = (source: string, given: string) => {
    const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: given } };
    const line = {
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: null, tool_calls: [call] },
      ],
    };
    const example = parseExample(JSON.stringify(line), 1, 'training_file');
    if (example.kind !== 'chat') throw new Error('not a chat');
    const chat = new ChatTemplate(`{% set a = messages[1].tool_calls[0].function.arguments %}${source}`, { specialTokens: {}, today });
    return chat.render(example.messages, { tools: null, addGenerationPrompt: false }).text;
  };
  const given = '{"city":"Oslo",  "days": 1.0}';

  it.each([
    ["{{ '<' + a + '>' }}", `<${given}>`],
    ["{{ a ~ '!' }}", `${given}!`],
    ['{{ a }}', given],
    ['{{ a | string }}', given],
    ["{{ a.replace('Oslo', 'Rome') }}", given.replace('Oslo', 'Rome')],
    ['{{ a | trim | length }}', String(given.length)],
    ["{{ 'Oslo' in a }}", 'False'], // a dict has no such key
    ["{{ 'city' in a }}", 'True'],
    ['{{ a | tojson }}', '{"city": "Oslo", "days": 1.0}'],
    ['{% for k, v in a.items() %}{{ k }}={{ v }};{% endfor %}', 'city=Oslo;days=1.0;'],
    ['{{ a.city }} {{ a | length }} {{ a is mapping }} {{ a is string }}', 'Oslo 2 True False'],
    [
      '{{ messages[1].tool_calls[0] | tojson }}',
      '{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"city": "Oslo", "days": 1.0}}}',
    ],
  ])('%s', (source, text) => {
    expect(shown(source, given)).toBe(text);
  });

  it.each(['', 'not JSON', '[1]', '5', '{"a": 1'])('stay text if they are no object › %j', (text) => {
    expect(shown('{{ a is string }}{{ a }}', text)).toBe(`True${text}`);
  });
});

describe('ChatTemplate › content in parts', () => {
  const parts = (...texts: string[]) => texts.map((text) => ({ type: 'text', text }));
  const render = (source: string) => {
    const line = {
      messages: [
        { role: 'user', content: parts('one ', 'two') },
        { role: 'assistant', content: 'three' },
      ],
    };
    const example = parseExample(JSON.stringify(line), 1, 'training_file');
    if (example.kind !== 'chat') throw new Error('not a chat');
    return new ChatTemplate(source, { specialTokens: {}, today }).render(example.messages, { tools: null, addGenerationPrompt: false }).text;
  };

  it.each([
    ['is one text', "{% for m in messages %}{{ m.content + ';' }}{% endfor %}", 'one two;three;'],
    ['is one text where a list would be left out', '{% for m in messages %}{{ m.content if m.content is string }};{% endfor %}', 'one two;three;'],
    [
      'stays a list where a text is refused',
      "{% for m in messages %}{% if m.role == 'user' %}{% for p in m.content %}[{{ p.text + '' }}]{% endfor %}{% endif %}{% endfor %}",
      '[one ][two]',
    ],
    [
      'stays a list where a text would be left out',
      '{% for m in messages %}{% if m.content is not string %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{% endfor %}',
      'one two',
    ],
  ])('%s', (_, source, text) => {
    expect(render(source)).toBe(text);
  });
});

describe('ChatTemplate › that refuses a developer', () => {
  it('advises the role that it knows', () => {
    const source = "{% for m in messages %}{% if m.role not in ['system', 'user'] %}{{ raise_exception('unknown role') }}{% endif %}{% endfor %}";
    const message = { role: 'developer', content: 'x', weight: 1, extra: new Map() } as const;
    expect(() => new ChatTemplate(source, { specialTokens: {}, today }).render([message], { tools: null, addGenerationPrompt: false })).toThrow(
      'unknown role (the template does not know the role developer; write system instead)',
    );
  });
});

describe('ChatTemplate › a generation block where transformers marks other text', () => {
  it.each([
    ['{% macro say(x) %}so {% generation %}{{ x }}{% endgeneration %}{% endmacro %}{{ say(messages[0].content) }}'],
    ['a{% set x %}b{% generation %}c{% endgeneration %}{% endset %}d{{ x }}'],
    ['{% generation %}a{% generation %}b{% endgeneration %}{% endgeneration %}'],
  ])('is refused: %s', (source) => {
    const message = { role: 'user', content: 'x', weight: 1, extra: new Map() } as const;
    expect(() => new ChatTemplate(source, { specialTokens: {}, today }).render([message], { tools: null, addGenerationPrompt: false })).toThrow(
      'where the text it marks cannot be found',
    );
  });
});
