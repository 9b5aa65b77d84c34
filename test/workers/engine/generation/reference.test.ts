import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { type GenerationCase, openGenerationCase } from '../../../../reference/generation.ts';
import { type GeneratedText, type GenerationModel, GREEDY, openGenerationModel } from '../../../../workers/engine/index.ts';

const names = readdirSync(referencePath('generation')).map((file) => file.replace('.json', ''));
/** Of a log-probability, nats. The fixture has five decimals. */
const TOLERANCE = 1e-4;

describe.each(names)('generation › of %s', (name) => {
  let fixture: GenerationCase;
  let model: GenerationModel;
  beforeAll(async () => {
    fixture = openGenerationCase(name);
    model = await openGenerationModel({ modelDir: fixture.modelDir });
    for (const [adapter, directory] of fixture.adapterDirs) await model.addAdapter(adapter, directory);
  });
  afterAll(() => {
    model.dispose();
    fixture.dispose();
  });

  function answer(prompt: readonly number[], adapter: string | null, maxTokens: number): Promise<GeneratedText> {
    return model.generate({ ...GREEDY, prompt: Int32Array.from(prompt), adapter, maxTokens, logprobs: 0 });
  }

  it('gives transformers’ tokens and their probabilities, with and without adapters, all at once', async () => {
    const cases = [null, ...fixture.adapterDirs.keys()].flatMap((adapter) => fixture.answers(adapter).map((wanted) => ({ adapter, wanted })));
    const found = await Promise.all(cases.map(({ adapter, wanted }) => answer(wanted.prompt, adapter, wanted.answer.length)));
    for (const [index, { adapter, wanted }] of cases.entries()) {
      const { tokenIds, logprobs, finishReason } = found[index]!;
      const what = `${adapter ?? 'base'} after ${wanted.prompt.length} tokens`;
      expect(tokenIds, what).toEqual(wanted.answer);
      expect(finishReason).toBe('length');
      for (const [token, { logprob }] of logprobs.entries()) expect(Math.abs(logprob - wanted.logprobs[token]!), what).toBeLessThan(TOLERANCE);
    }
  });
});
