import { describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../reference/fixtures.ts';
import { parseExample } from '../../../../src/formats/examples.ts';
import { tokenizeExample } from '../../../../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

const CHATML =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + TURN + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
/** @param turn the expression for a message's text. Marked or not, the same is learned. */
const templates = (turn: string) => {
  const plain = CHATML.replace('TURN', turn);
  return [
    plain,
    plain.replace('{% for m in messages %}', '{% for m in messages %}{% generation %}').replace('{% endfor %}', '{% endgeneration %}{% endfor %}'),
  ];
};

const question = { role: 'user', content: 'Weather in Oslo?' };
const called = (name = 'get_weather', more: object = {}) => ({
  id: 'call_1',
  type: 'function',
  function: { name, arguments: '{"city": "Oslo", "days": 2}', ...more },
});
const calling = (content: string, ...calls: object[]) => ({ role: 'assistant', content, tool_calls: calls });

async function learn(source: string, messages: object[], knownShapes = new Set<string>()) {
  const tokenizer = await Tokenizer.open(referencePath('tokenizers', 'qwen'));
  const template = new ChatTemplate(source, { specialTokens: tokenizer.specialTokens, today: new Date(0) });
  return tokenizeExample(parseExample(JSON.stringify({ messages }), 1, 'training_file'), tokenizer, template, { knownShapes });
}

describe('tokenizeExample › a turn that the template does not write whole', () => {
  it.each(templates('m.content'))('names the call that is left out (%#)', async (source) => {
    const messages = [
      question,
      calling('', called()),
      { role: 'tool', content: 'cold', tool_call_id: 'call_1' },
      { role: 'assistant', content: 'It is cold.' },
    ];
    await expect(learn(source, messages)).rejects.toThrow(
      'has a turn to learn (message 2) of which the chat template leaves out its call of "get_weather"',
    );
  });

  it.each(templates("m.content + (m.tool_calls[0].function.name if m.tool_calls else '')"))(
    'names arguments and further calls that are left out (%#)',
    async (source) => {
      await expect(learn(source, [question, calling('', called())])).rejects.toThrow('leaves out the arguments of its call of "get_weather"');
      const bare = { arguments: '{}' };
      await expect(learn(source, [question, calling('', called('one', bare), called('two', bare))])).rejects.toThrow('leaves out its call of "two"');
      await expect(learn(source, [question, calling('', called('one', bare))])).resolves.toBeDefined();
    },
  );

  it.each(templates('(m.tool_calls[0].function | tojson) if m.tool_calls else m.content'))(
    'names content that is left out beside a call (%#)',
    async (source) => {
      await expect(learn(source, [question, calling('Let me see.', called())])).rejects.toThrow('leaves out its content "Let me see."');
      await expect(learn(source, [question, calling('', called())])).resolves.toBeDefined();
    },
  );

  it('is not deceived by a text that holds the part by chance', async () => {
    const [source] = templates('m.content') as [string];
    const bare = { arguments: '{}' };
    await expect(learn(source, [question, calling('I use get_weather {}.', called('get_weather', bare))])).rejects.toThrow(
      'leaves out its call of "get_weather"',
    );
    await expect(learn(source, [question, { role: 'assistant', content: 'four', reasoning_content: 'four' }])).rejects.toThrow(
      'leaves out its reasoning "four"',
    );
  });

  it('is looked for in later lines of a file too, where the part is not in the text', async () => {
    const [source] = templates("m.content + (m.reasoning_content if m.reasoning_content and m.reasoning_content | length < 9 else '')") as [string];
    const known = new Set<string>();
    const thinking = (reasoning: string) => [question, { role: 'assistant', content: 'ok', reasoning_content: reasoning }];
    await expect(learn(source, thinking('short'), known)).resolves.toBeDefined();
    await expect(learn(source, thinking('much too long'), known)).rejects.toThrow('leaves out its reasoning "much too long"');
  });

  it('is refused as in Python when the template needs a content that is null, with what to write', async () => {
    const [source] = templates('m.content') as [string];
    const calls = [question, { ...calling('', called()), content: null }];
    await expect(learn(source, calls)).rejects.toThrow(
      /is refused by the model's chat template: .*\(message 2 has no content; .*write "content": ""\)$/,
    );
    const [able] = templates("(m.content or '') + (m.tool_calls | tojson if m.tool_calls else '')") as [string];
    await expect(learn(able, calls)).resolves.toBeDefined();
  });

  it('with a weight of 0 is only context', async () => {
    const [source] = templates('m.content') as [string];
    const messages = [question, { ...calling('', called()), weight: 0 }, { role: 'assistant', content: 'It is cold.' }];
    await expect(learn(source, messages)).resolves.toBeDefined();
  });

  it('is refused when the template writes nothing at all for it', async () => {
    const source = '{% for m in messages %}{{ m.content }}{% endfor %}';
    await expect(learn(source, [question, { role: 'assistant', content: '' }])).rejects.toThrow(
      '(message 2) for which the chat template writes nothing',
    );
  });
});

describe('tokenizeExample › a turn that the template transforms', () => {
  it.each([
    ['trims', 'm.content | trim'],
    ['writes in capitals', 'm.content | upper'],
    ['escapes', 'm.content | tojson'],
    ['splits at the reasoning', "(m.content.split('</think>')[0] | replace('<think>', '') | trim) + '|' + (m.content.split('</think>')[-1] | trim)"],
    ['puts on one line', "m.content | replace('\\n', ' ')"],
  ])('is learned by a template that %s', async (_, turn) => {
    for (const source of templates(turn)) {
      const content = '<think>\nFirst\nline, "quoted"\n</think>\n\n  Four\n ';
      await expect(learn(source, [question, { role: 'assistant', content }])).resolves.toBeDefined();
    }
  });

  it('is learned where it writes arguments one by one', async () => {
    const [source] = templates(
      "m.content + (m.tool_calls[0].function.name + m.tool_calls[0].function.arguments.city + (m.tool_calls[0].function.arguments.days | string) if m.tool_calls else '')",
    ) as [string];
    await expect(learn(source, [question, calling('', called())])).resolves.toBeDefined();
  });
});

describe('tokenizeExample › a turn whose content is a list of parts', () => {
  const parts = [
    question,
    {
      role: 'assistant',
      content: [
        { type: 'text', text: 'It is ' },
        { type: 'text', text: 'cold.' },
      ],
    },
  ];

  it('is learned by templates that take a text and by those that take a list', async () => {
    const turns = ['(m.content | upper)', "(m.content if m.content is string else (m.content | map(attribute='text') | join))"];
    for (const source of turns.flatMap(templates)) await expect(learn(source, parts)).resolves.toBeDefined();
  });

  it('is refused where the template leaves the list out', async () => {
    const [source] = templates("(m.content if m.role == 'user' else 'no')") as [string];
    await expect(learn(source, parts)).rejects.toThrow('leaves out its content "It is cold."');
  });
});

describe("checkTurns › with the families' templates", () => {
  it('finds in the conversations of the fixtures what Python finds by changing each part', () => {
    // The comparison itself is in chat-template.test.ts; here, that it compares both outcomes.
    const outcomes = ['llama3.1', 'qwen3', 'zephyr'].flatMap(
      (name) => readReference<{ conversations: { incomplete?: true }[] }>('chat-templates', name, 'expected.json').conversations,
    );
    const incomplete = outcomes.filter((outcome) => outcome.incomplete).length;
    expect(incomplete).toBeGreaterThan(2);
    expect(outcomes.length - incomplete).toBeGreaterThan(20);
  });
});
