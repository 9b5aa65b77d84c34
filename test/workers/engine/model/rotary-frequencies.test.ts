import { describe, expect, it } from 'vitest';
import { softmaxLayers } from '../../../../src/formats/mixers.ts';
import { parseModelConfig } from '../../../../src/formats/parse-model-config.ts';
import { rotaryFrequencies } from '../../../../workers/engine/model/rotary-frequencies.ts';

const config = (rope: Record<string, unknown>) =>
  parseModelConfig(
    {
      model_type: 'llama',
      hidden_size: 64,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      intermediate_size: 96,
      vocab_size: 384,
      rope_parameters: rope,
    },
    'config.json',
  );

/** The witnesses are `ROPE_INIT_FUNCTIONS[…](config, 'cpu')` of transformers 5.23. */
describe('rotaryFrequencies', () => {
  it.each([
    [
      { rope_type: 'llama3', rope_theta: 5e5, factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 },
      [
        1.0, 0.07940301299095154, 0.004700753837823868, 0.0009115831344388425, 0.00017677668074611574, 3.428102354519069e-5, 6.647869668086059e-6,
        1.289173155782919e-6,
      ],
    ],
    [
      { rope_type: 'linear', rope_theta: 1e4, factor: 4 },
      [
        0.25, 0.07905694097280502, 0.02500000037252903, 0.007905694656074047, 0.0024999999441206455, 0.0007905694656074047, 0.0002500000118743628,
        7.905694656074047e-5,
      ],
    ],
  ])('of %j are those of transformers', (rope, wanted) => {
    const got = rotaryFrequencies(softmaxLayers(config(rope))[0]!.rotary!);
    expect(got).toHaveLength(wanted.length);
    for (const [i, frequency] of wanted.entries()) expect(Math.abs(got[i]! / frequency - 1)).toBeLessThan(1e-6);
  });
});
