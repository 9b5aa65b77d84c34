/** Rotary positions as llama.cpp takes them. */
import { softmaxLayers } from '../../../src/formats/mixers.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { RopeScaling, Rotary } from '../../../src/formats/rotary.ts';
import { rotaryFrequencies } from '../model/rotary-frequencies.ts';
import type { MetadataValue } from './write-file.ts';

interface RotaryHyperparameters {
  values: [string, MetadataValue][];
  /** Tensors of factors. */
  factors: Map<string, Float32Array>;
  /** Up to this length, llama.cpp rotates as transformers does. */
  contextTokens: number;
  problems: string[];
}

/** @param architecture llama.cpp's name */
export function rotaryHyperparameters(config: ModelConfig, architecture: string): RotaryHyperparameters {
  const result: RotaryHyperparameters = { values: [], factors: new Map(), contextTokens: Number.POSITIVE_INFINITY, problems: [] };
  const withRotary = softmaxLayers(config).filter((layer) => layer.rotary !== null);
  const full = (withRotary.find(({ windowTokens }) => windowTokens === null) ?? withRotary[0])?.rotary;
  if (full === null || full === undefined) return result;
  result.values.push(['rope.dimension_count', { u32: full.dimensions }], ['rope.freq_base', { f32: full.theta }]);
  addScaling(result, full, architecture);
  const other = withRotary.find(({ rotary }) => JSON.stringify(rotary) !== JSON.stringify(full))?.rotary;
  if (other === undefined || other === null) return result;
  // Gemma 3 alone has a base of its own for the layers with a window.
  if (architecture !== 'gemma3' || other.scaling !== null) result.problems.push('its layers have different rotary positions');
  else result.values.push(['rope.freq_base_swa', { f32: other.theta }]);
  return result;
}

function addScaling(result: RotaryHyperparameters, rotary: Rotary, architecture: string): void {
  const { scaling } = rotary;
  const { values, factors, problems } = result;
  const refuse = (type: RopeScaling['type']) => problems.push(`its rotary positions are scaled by "${type}"`);
  switch (scaling?.type) {
    case undefined:
      return;
    case 'linear':
      values.push(['rope.scaling.type', { string: 'linear' }], ['rope.scaling.factor', { f32: scaling.factor }]);
      return;
    case 'dynamic': // applies beyond this length alone
      result.contextTokens = scaling.originalMaxPositionTokens;
      return;
    case 'llama3': {
      if (architecture !== 'llama') return void refuse(scaling.type);
      const plain = rotaryFrequencies({ ...rotary, scaling: null }, 1);
      const scaled = rotaryFrequencies(rotary, 1);
      factors.set(
        'rope_freqs.weight',
        Float32Array.from(plain, (frequency, i) => frequency / scaled[i]!),
      );
      return;
    }
    case 'yarn': {
      if (!scaling.truncate) return void refuse(scaling.type);
      values.push(
        ['rope.scaling.type', { string: 'yarn' }],
        ['rope.scaling.factor', { f32: scaling.factor }],
        ['rope.scaling.original_context_length', { u32: scaling.originalMaxPositionTokens }],
        // llama.cpp multiplies it by its own factor.
        ['rope.scaling.yarn_attn_factor', { f32: scaling.attentionFactor / (0.1 * Math.log(scaling.factor) + 1) }],
        ['rope.scaling.yarn_beta_fast', { f32: scaling.betaFast }],
        ['rope.scaling.yarn_beta_slow', { f32: scaling.betaSlow }],
      );
      return;
    }
    case 'longrope':
      if (architecture !== 'phi3') return void refuse(scaling.type);
      values.push(
        ['rope.scaling.type', { string: 'longrope' }],
        ['rope.scaling.original_context_length', { u32: scaling.originalMaxPositionTokens }],
        ['rope.scaling.attn_factor', { f32: scaling.attentionFactor }],
      );
      factors.set('rope_factors_long.weight', Float32Array.from(scaling.longFactors));
      factors.set('rope_factors_short.weight', Float32Array.from(scaling.shortFactors));
      return;
  }
}
