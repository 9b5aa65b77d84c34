/** Weights of the base that LoRA trains as they are: biases, and modules that are saved whole. */
import type { ModelConfig } from '../model-config.ts';
import { weightShapes } from '../module-shapes.ts';
import { Refusal } from '../refusal.ts';
import { isBias } from './bitfit.ts';
import type { ResolvedLora } from './lora-fields.ts';
import { loraLayers, shortNames } from './lora-layers.ts';

/** It is asked for each weight of a model. */
const known = new WeakMap<ResolvedLora, { config: ModelConfig; weights: ReadonlyMap<string, string> }>();

/** @returns PEFT's name of each, by its name in the checkpoint. @throws Refusal for what the model does not have */
export function trainedWeights(config: ModelConfig, tuning: ResolvedLora): ReadonlyMap<string, string> {
  const { bias = 'none', modules_to_save: saved = [] } = tuning;
  if (bias === 'none' && saved.length === 0) return new Map();
  const found = known.get(tuning);
  if (found?.config === config) return found.weights;
  const names = [...weightShapes(config).keys()];
  const weights = bias === 'none' ? savedModules(names, { saved, config }) : biases(names, { bias, adapted: loraLayers(config, tuning) });
  known.set(tuning, { config, weights });
  return weights;
}

const moduleOf = (weight: string): string => weight.slice(0, weight.lastIndexOf('.'));

/** PEFT takes every module whose name ends so, even within a word: "norm" is "input_layernorm" too. */
function savedModules(names: readonly string[], { saved, config }: { saved: readonly string[]; config: ModelConfig }): Map<string, string> {
  const modules = [...new Set(names.map(moduleOf))];
  const { embedding, head } = config.names;
  const param = 'tuning.modules_to_save';
  const tied = config.tiedHead ? saved.filter((name) => [embedding, head].some((module) => module.endsWith(name))) : [];
  if (tied.length > 0)
    throw new Refusal('unsupported_tuning', `modules_to_save has ${tied.join(', ')}, but the model's head and embedding are one matrix`, {
      param,
      hint: 'PEFT would train a copy for one of them and leave the other as it is, and the copy could not be merged. Use "all-linear", or full fine-tuning.',
    });
  const idle = saved.filter((name) => !modules.some((module) => module.endsWith(name)));
  if (idle.length > 0)
    throw new Refusal('unknown_target_module', `modules_to_save has ${idle.join(', ')}, but no module with weights has such a name`, {
      param,
      hint: `The model has ${shortNames(modules)}.`,
    });
  const isSaved = (module: string): boolean => saved.some((name) => module.endsWith(name));
  return new Map(names.filter((name) => isSaved(moduleOf(name))).map((name) => [name, `base_model.model.${name}`]));
}

/** @returns the same tuning, with the saved modules of a multimodal model by their whole names: PEFT looks for a name's end in all of its towers */
export function savingWhole<T extends ResolvedLora>(config: ModelConfig, tuning: T): T {
  if (config.otherTowers === undefined || tuning.modules_to_save === undefined) return tuning;
  return { ...tuning, modules_to_save: [...new Set([...trainedWeights(config, tuning).keys()].map(moduleOf))] };
}

function biases(
  names: readonly string[],
  { bias, adapted }: { bias: 'all' | 'lora_only'; adapted: ReadonlyMap<string, unknown> },
): Map<string, string> {
  const all = names.filter(isBias);
  const trained = bias === 'all' ? all : all.filter((name) => adapted.has(moduleOf(name)));
  if (trained.length === 0)
    throw new Refusal('unsupported_tuning', `bias is "${bias}", but ${bias === 'all' ? 'the model has no biases' : 'no adapted layer has a bias'}`, {
      param: 'tuning.bias',
      hint: all.length === 0 ? 'Leave bias out.' : `The model has ${all.length} biases: adapt their layers, or use "all".`,
    });
  // PEFT puts an adapted layer into one of its own, as its base_layer.
  const fileName = (name: string): string => (adapted.has(moduleOf(name)) ? `${moduleOf(name)}.base_layer.bias` : name);
  return new Map(trained.map((name) => [name, `base_model.model.${fileName(name)}`]));
}
