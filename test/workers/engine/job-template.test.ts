import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { referencePath } from '../../../reference/fixtures.ts';
import type { TokenReceipt } from '../../../src/formats/token-receipt.ts';
import type { TrainOptions } from '../../../workers/engine/contract.ts';
import { openGenerationModel } from '../../../workers/engine/index.ts';
import { train } from '../../../workers/engine/train.ts';

const OWN = "{% for m in messages %}{{ m.role }}({{ mood }}){{ m.content }};{% endfor %}{{ 'assistant(' ~ mood ~ ')' if add_generation_prompt }}";
const TOOLS = [{ type: 'function', function: { name: 'f' } }];

let dir: string;
let modelDir: string;
let trainingFile: string;
let receipt: TokenReceipt | null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-job-template-'));
  modelDir = join(dir, 'model');
  cpSync(referencePath('cases', 'llama-gqa-tied', 'model'), modelDir, { recursive: true });
  mkdirSync(join(modelDir, 'additional_chat_templates'));
  const withTools = `{{ tools | tojson }}${readFileSync(join(modelDir, 'chat_template.jinja'), 'utf8')}`;
  writeFileSync(join(modelDir, 'additional_chat_templates', 'tool_use.jinja'), withTools);
  trainingFile = join(dir, 'train.jsonl');
  const line = (question: string, more = {}) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: question },
        { role: 'assistant', content: 'b' },
      ],
      ...more,
    });
  writeFileSync(trainingFile, `${[line('a'), line('c', { chat_template_kwargs: { mood: 'own' } }), line('d', { tools: TOOLS })].join('\n')}\n`);
  receipt = null;
});
afterEach(() => rmSync(dir, { recursive: true }));

const options = (given: Partial<TrainOptions>): TrainOptions => ({
  modelDir,
  trainingFile,
  outputDir: join(dir, 'out'),
  checkpointsDir: join(dir, 'checkpoints'),
  tuning: { type: 'full' },
  hyperparameters: { n_epochs: 1, batch_size: 3 },
  seed: 1,
  report: {
    receipt: (given) => {
      receipt = given;
    },
  },
  ...given,
});
const texts = () => receipt!.training.samples.map(({ spans }) => spans.map(({ text }) => text).join(''));
const calm = new Map([['mood', 'calm']]);

describe("train › with the model's templates", () => {
  it('takes tool_use for an example with tools, says so, and delivers both with a full model', async () => {
    const { files } = await train(options({}));
    expect(receipt!.template).toMatchObject({ name: 'default', own: false, with_tools: { name: 'tool_use' }, chat_template_kwargs: {} });
    expect(texts()[2]).toMatch(/^\[\{"type": "function", "function": \{"name": "f"\}\}\]/);
    expect(files).toEqual(expect.arrayContaining(['additional_chat_templates/tool_use.jinja', 'chat_template.jinja']));
    for (const name of ['chat_template.jinja', 'additional_chat_templates/tool_use.jinja'])
      expect(readFileSync(join(dir, 'out', name), 'utf8'), name).toBe(readFileSync(join(modelDir, name), 'utf8'));
  });
});

describe('train › with a template and variables of the job', () => {
  it("renders with them, a line's own variables first, and delivers the template in place of the model's", async () => {
    const { files } = await train(options({ chatTemplate: OWN, chatTemplateKwargs: calm }));
    expect(texts()).toEqual(['user(calm)a;assistant(calm)b;', 'user(own)c;assistant(own)b;', 'user(calm)d;assistant(calm)b;']);
    expect(receipt!.template).toMatchObject({ name: 'default', own: true, with_tools: null, chat_template_kwargs: { mood: 'calm' } });
    expect(readFileSync(join(dir, 'out', 'chat_template.jinja'), 'utf8')).toBe(OWN);
    expect(readdirSync(join(dir, 'out')).sort()).toEqual(files);
    expect(files).not.toContain('additional_chat_templates/tool_use.jinja');
  });

  it('writes the template beside an adapter, which generates with it', async () => {
    const { files } = await train(options({ tuning: { type: 'lora', r: 2 }, chatTemplate: OWN, chatTemplateKwargs: calm }));
    expect(files).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors', 'chat_template.jinja']);
    const model = await openGenerationModel({ modelDir });
    await model.addAdapter('own', join(dir, 'out'));
    const prompt = await model.conversation([{ role: 'user', content: 'a', extra: calm }], {
      adapter: 'own',
      tools: null,
      chatTemplateKwargs: calm,
    });
    expect(prompt).toEqual(await model.tokens('user(calm)a;assistant(calm)'));
    model.dispose();
    expect(readFileSync(join(dir, 'out', 'chat_template.jinja'), 'utf8')).toBe(OWN);
  });

  it.each([
    ['another template', { chatTemplate: `${OWN}{# other #}`, chatTemplateKwargs: calm }],
    ['other variables', { chatTemplate: OWN, chatTemplateKwargs: new Map([['mood', 'glad']]) }],
    ['none', {}],
  ])('refuses to resume with %s', async (_, other) => {
    await train(options({ tuning: { type: 'lora', r: 2 }, chatTemplate: OWN, chatTemplateKwargs: calm }));
    const resumeFrom = join(dir, 'checkpoints', '1');
    await expect(train(options({ tuning: { type: 'lora', r: 2 }, resumeFrom, ...other }))).rejects.toMatchObject({
      code: 'checkpoint_mismatch',
      message: 'the checkpoint was written with a different chatTemplate',
    });
  });

  it('refuses a template that is not valid before it reads the data', async () => {
    await expect(train(options({ chatTemplate: '{% if %}', trainingFile: join(dir, 'none.jsonl') }))).rejects.toMatchObject({
      code: 'invalid_chat_template',
      param: 'chat_template',
    });
  });
});
