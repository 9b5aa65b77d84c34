import { describe, expect, it } from 'vitest';
import { PUBLISHED, type PublishedShape } from '../../bench/published-shapes.ts';
import { configJson } from '../../bench/smollm-shapes.ts';
import { countParameters } from '../../src/formats/memory-estimate.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { resolveTuning } from '../../src/formats/tuning/tuning.ts';

describe('published shapes', () => {
  it.each(Object.keys(PUBLISHED) as PublishedShape[])('%s has as many parameters as its checkpoint', (shape) => {
    const { total } = countParameters(parseModelConfig(configJson(shape), shape), resolveTuning({ type: 'full' }));
    expect(total).toBe(PUBLISHED[shape].parameters);
  });
});
