import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { referencePath } from '../../reference/fixtures.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { loraFormat } from '../../src/formats/tuning/lora.ts';
import type { LoraTuning } from '../../src/formats/tuning/lora-fields.ts';
import { pythonPattern } from '../../src/formats/tuning/python-pattern.ts';
import { processorStopwatch } from '../processor-time.ts';

const configOf = (...where: string[]) => {
  const path = referencePath(...where, 'model', 'config.json');
  return parseModelConfig(JSON.parse(readFileSync(path, 'utf8')), path);
};
const tied = configOf('cases', 'llama-gqa-tied');
const untied = configOf('cases', 'llama-untied-v4');
const mixture = configOf('families', 'qwen3-moe');
const shapesOf = (fields: Partial<LoraTuning>, config = untied) => loraFormat.trainedShapes(config, loraFormat.resolve({ type: 'lora', ...fields }));

describe('a LoRA tuning', () => {
  it.each([
    ['a rank pattern that matches nothing', { rank_pattern: { q_project: 4 } }, 'rank_pattern', 'q_project'],
    ['an alpha pattern of a layer that is not adapted', { target_modules: ['q_proj'], alpha_pattern: { v_proj: 4 } }, 'alpha_pattern', 'v_proj'],
    ['an exclusion that matches nothing', { exclude_modules: ['experts'] }, 'exclude_modules', 'experts'],
    ['an expression that matches nothing', { target_modules: '.*\\.experts\\..*' }, 'target_modules', 'experts'],
    ['a block that the model does not have', { target_modules: ['q_proj'], layers_to_transform: [1, 7] }, 'layers_to_transform', '7'],
    ['blocks with an expression', { target_modules: '.*q_proj', layers_to_transform: 1 }, 'layers_to_transform', 'list'],
    ['lookahead', { target_modules: '(?!model).*' }, 'target_modules', '(?!'],
    ['a saved module that does not exist', { modules_to_save: ['score'] }, 'modules_to_save', 'score'],
    ['DoRA on the embedding', { target_modules: ['embed_tokens'], use_dora: true }, 'use_dora', 'embed_tokens'],
    ['PiSSA with dropout', { init_lora_weights: 'pissa', lora_dropout: 0.1 }, 'lora_dropout', 'pissa'],
    ['orthogonal matrices of an odd rank', { init_lora_weights: 'orthogonal', r: 3 }, 'init_lora_weights', '3'],
    ['LoRA+ with an adapted embedding', { target_modules: ['embed_tokens'], loraplus_lr_ratio: 4 }, 'loraplus_lr_ratio', 'embed_tokens'],
    ['biases with saved modules', { bias: 'all', modules_to_save: ['norm'] }, 'bias', 'modules_to_save'],
  ] as const)('with %s › is refused, naming it', (_, fields, field, named) => {
    expect(() => shapesOf(fields as Partial<LoraTuning>)).toThrow(
      expect.objectContaining({ param: `tuning.${field}`, message: expect.stringContaining(named) }),
    );
  });

  it.each([
    ['lm_head as a target', { target_modules: ['lm_head'] }, 'target_modules'],
    ['lm_head saved', { modules_to_save: ['lm_head'] }, 'modules_to_save'],
    ['biases', { bias: 'all' }, 'bias'],
  ] as const)('with %s, on a model that has a tied head and no biases › is refused', (_, fields, field) => {
    expect(() => shapesOf(fields as unknown as Partial<LoraTuning>, tied)).toThrow(expect.objectContaining({ param: `tuning.${field}` }));
  });

  it.each([
    ['dropout on experts', { lora_dropout: 0.1 }, 'lora_dropout'],
    ['DoRA on experts', { use_dora: true }, 'use_dora'],
    ['PiSSA of experts', { init_lora_weights: 'pissa' }, 'init_lora_weights'],
    ['some blocks of experts', { target_modules: ['q_proj', 'gate'], layers_to_transform: 1 }, 'layers_to_transform'],
    ['the gates of experts without their other half', { target_modules: ['q_proj', 'gate_proj'] }, 'target_modules'],
    ['a parameter that no expert has', { target_parameters: ['mlp.experts.bias'] }, 'target_parameters'],
  ] as const)('with %s › is refused', (_, fields, field) => {
    expect(() => shapesOf(fields as unknown as Partial<LoraTuning>, mixture)).toThrow(expect.objectContaining({ param: `tuning.${field}` }));
  });

  it('of one parameter of experts › has it in the module itself, not inside another', () => {
    const shapes = shapesOf({ target_modules: ['q_proj'], target_parameters: ['experts.gate_up_proj'], r: 2 }, mixture);
    expect(shapes.get('base_model.model.model.layers.0.mlp.experts.lora_A.weight')).toEqual([12, 32]);
    expect([...shapes.keys()].filter((name) => name.includes('base_layer'))).toEqual([]);
  });

  it('with experts, of a model without any › is refused', () => {
    expect(() => shapesOf({ target_parameters: ['mlp.experts.down_proj'] })).toThrow(expect.objectContaining({ param: 'tuning.target_parameters' }));
  });

  it('that says nothing beyond plain LoRA › is recorded as before there was more to say', () => {
    const tuning = { type: 'lora', use_dora: false, bias: 'none', init_lora_weights: true, rank_pattern: {}, loraplus_lr_ratio: 1 } as const;
    expect(loraFormat.resolve(tuning)).toEqual(loraFormat.resolve({ type: 'lora' }));
  });
});

describe('a pattern', () => {
  it('that would take a backtracking engine ages › takes an instant', () => {
    const fits = pythonPattern('(a+)+(a+)+(a+)+b', { param: 'tuning.target_modules' });
    const spentMs = processorStopwatch();
    expect(fits('a'.repeat(10_000))).toBe(false);
    expect(spentMs()).toBeLessThan(2_000);
  });

  it('that repeats too often › is refused', () => {
    expect(() => pythonPattern('.{999}.{999}.{999}', { param: 'p' })).toThrow(expect.objectContaining({ code: 'unsupported_pattern' }));
  });
});
