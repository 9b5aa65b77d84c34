import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { storedForms } from '../../../../src/formats/expert-shapes.ts';
import { weightShapes } from '../../../../src/formats/module-shapes.ts';
import { openWeights, readModelConfig } from '../../../../workers/engine/model/weights.ts';

describe('a weight read in pieces', () => {
  it('that its files hold in several tensors, is the weight read at once, wherever the pieces begin', () => {
    const modelDir = referencePath('families', 'mixtral', 'model');
    const weights = openWeights(modelDir, readModelConfig(modelDir));
    try {
      const name = [...storedForms(weights.config).keys()].find((name) => weights.delivered(name).length > 1)!;
      const size = weightShapes(weights.config)
        .get(name)!
        .reduce((product, length) => product * length, 1);
      const whole = new Float32Array(size);
      weights.readInto(name, whole);
      const most = Math.ceil(size / 3.5); // its borders fall into the middle of tensors
      for (let first = 0; first < size; first += most) {
        const piece = new Float32Array(Math.min(most, size - first));
        weights.readInto(name, piece, first);
        expect(piece).toEqual(whole.slice(first, first + most));
      }
      expect(new Set(whole).size).toBeGreaterThan(1);
    } finally {
      weights.close();
    }
  });
});
