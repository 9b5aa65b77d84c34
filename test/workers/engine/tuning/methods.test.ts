import { describe, expect, it } from 'vitest';
import { readReference } from '../../../../reference/fixtures.ts';
import { methodCases, methodDifferences } from '../../../../reference/method-fixtures.ts';
import { expectWithinTolerances } from './expect-within-tolerances.ts';

describe.each(methodCases)('$method on $model', (one) => {
  it.each(['eager', 'compiled'] as const)('%s › gives the logits, loss, gradients and ten AdamW steps of PEFT', (kind) => {
    const { correct, trained, ...differences } = methodDifferences(one, kind);
    expectWithinTolerances(differences);
    const expected = readReference<{ correctTokens: number; trainedParameters: number }>(...one.folder, 'expected.json');
    expect(correct).toBe(expected.correctTokens);
    expect(trained).toBe(expected.trainedParameters);
  });
});
