import { describe, expect, it } from 'vitest';
import { demoModel, REAL_MODELS, realModel } from '../../../scripts/demo/models.ts';
import { asPlainText, pirateDataset, toJsonLines, toPlainLines } from '../../../scripts/demo/pirate-dataset.ts';

describe('demoModel', () => {
  it('of a name that the demo does not have › lists those that it has', () => {
    expect(() => demoModel('llama')).toThrow(/--model is "llama"; the demo has graft-tiny, smollm2, gemma3-270m, qwen2.5-coder-1.5b/);
  });

  it('of a name that has no real model › lists the real ones', () => {
    expect(() => realModel('graft-tiny')).toThrow(/--models has "graft-tiny"; it takes smollm2, gemma3-270m, qwen2.5-coder-1.5b/);
  });

  it('of a real model › pins its packages and the hash of the file', () => {
    for (const { gguf } of REAL_MODELS) {
      const { packages, sha256 } = gguf;
      for (const requirement of packages) expect(requirement).toMatch(/^[\w-]+==\d+\.\d+\.\d+$/);
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    }
  });
});

describe('toPlainLines', () => {
  it('has the questions and answers of the conversations', () => {
    const { training } = pirateDataset({ seed: 1, training: 3, validation: 1 });
    const [plain, chat] = [toPlainLines(training), toJsonLines(training)].map((text) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
    for (const [i, { messages }] of chat!.entries())
      expect(plain![i]).toEqual({ prompt: asPlainText(messages[0].content), completion: ` ${messages[1].content}` });
  });
});
