import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../reference/fixtures.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let dir: string;
beforeAll(async () => {
  jobs = await superviseJobs();
  dir = mkdtempSync(join(tmpdir(), 'graft-hostile-model-'));
});
afterAll(async () => {
  await jobs?.close();
  rmSync(dir, { recursive: true, force: true });
});

type Json = Record<string, unknown>;

/** A copy of the small model in which one JSON file is changed. */
function modelWith(name: string, change: (json: Json) => Json): string {
  const model = join(dir, name);
  cpSync(referencePath('cases', 'llama-gqa-tied', 'model'), model, { recursive: true });
  const path = join(model, 'tokenizer.json');
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')) as Json)));
  return model;
}

async function errorOf(fields: object, model?: string): Promise<unknown> {
  const id = await jobs.makeJob(fields);
  await jobs.supervise(id, model === undefined ? {} : { modelDir: () => model });
  const { status, error } = (await jobs.get(id)).json<{ status: string; error: unknown }>();
  expect(status).toBe('failed');
  return error;
}

describe('a job', () => {
  it('on a tokenizer with a pattern that tries every way to match › fails and names the tokenizer', { timeout: 120_000 }, async () => {
    const split = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false };
    const model = modelWith('pattern', (json) => ({ ...json, pre_tokenizer: split }));
    const lines = Array.from({ length: 4 }, () => JSON.stringify({ prompt: `${'a'.repeat(40)}b`, completion: 'c' }));
    const training_file = await jobs.service.upload(`${lines.join('\n')}\n`);
    expect(await errorOf({ training_file }, model)).toMatchObject({
      code: 'corrupt_model_file',
      message: expect.stringMatching(/pattern in the model's tokenizer\.json/),
    });
  });

  it('with a chat template that does not end › fails and names the template', { timeout: 120_000 }, async () => {
    const chat_template = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}';
    const method = { type: 'supervised', supervised: { chat_template, hyperparameters: { n_epochs: 1 } } };
    expect(await errorOf({ method })).toMatchObject({
      code: 'invalid_chat_template',
      param: 'chat_template',
      message: expect.stringMatching(/the job's chat_template was stopped: it takes more than \d+ steps for one conversation/),
    });
  });
});
