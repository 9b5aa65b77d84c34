/** LoRA on a mixture's experts and routers: PEFT's `target_parameters`. */
import { expertShapes } from '../expert-shapes.ts';
import type { ModelConfig } from '../model-config.ts';
import { linearLayers } from '../module-shapes.ts';
import { Refusal } from '../refusal.ts';
import { ALL_LINEAR } from './lora-fields.ts';
import type { LoraLayer, Ranks, Selection } from './lora-layers.ts';

/** A layer that is still to get its rank. */
type Parameter = Omit<LoraLayer, 'r' | 'scaling'> & {
  /** Its name, without `.weight`, which patterns of ranks are compared with. */
  parameter: string;
};

const endsWith = (name: string, end: string): boolean => name === end || name.endsWith(`.${end}`);
const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

/**
 * The adapted experts and routers by the names of the modules into which PEFT puts their matrices: of two parameters in one module, the first is in the
 * other's `base_layer`.
 * @throws Refusal `unknown_target_module` for a name that fits none
 */
export function expertLayers(config: ModelConfig, targets: readonly string[]): Map<string, Parameter> {
  const shapes = expertShapes(config);
  const idle = targets.filter((target) => ![...shapes.keys()].some((name) => endsWith(name, target)));
  if (idle.length > 0)
    throw new Refusal('unknown_target_module', `target_parameters has ${idle.join(', ')}, which no expert or router of the model is called`, {
      param: 'tuning.target_parameters',
      hint:
        shapes.size === 0 ? 'The model has no experts: leave it out.' : `The model has ${[...new Set([...shapes.keys()].map(lastPart))].join(', ')}.`,
    });
  const layers = new Map<string, Parameter>();
  const chosen = [...shapes].filter(([name]) => targets.some((target) => endsWith(name, target)));
  for (const [name, shape] of chosen) {
    const module = name.slice(0, name.lastIndexOf('.'));
    if (shape.length === 2) {
      layers.set(module, { kind: 'linear', out: shape[0]!, in: shape[1]!, parameter: module });
      continue;
    }
    const [count, ...sizes] = shape as [number, number, number];
    const [out, input] = config.experts!.inputFirst ? sizes.toReversed() : sizes;
    const inside = layers.get(module);
    if (inside !== undefined) layers.set(`${module}.base_layer`, inside);
    const experts = { weight: name, count, perToken: config.experts!.perToken };
    layers.set(module, { kind: 'experts', out: out!, in: input!, experts, parameter: name });
  }
  return layers;
}

/**
 * PEFT's conversion for models whose experts and routers were modules in transformers 4 (`_convert_peft_config_moe`): their names among target_modules,
 * and `all-linear`, mean the parameters of now. Gate and up are one matrix since then, whose update has the rank of both.
 * @throws Refusal `unsupported_tuning`
 */
export function onExperts<T extends Selection & Ranks>(config: ModelConfig, tuning: T): T {
  const former = config.names.experts?.former;
  if (config.experts === undefined || former === undefined) return tuning;
  const { target_modules: targets, target_parameters: parameters = [], rank_pattern: ranks, alpha_pattern: alphas } = tuning;
  if (typeof targets === 'string' && targets !== ALL_LINEAR) return tuning;
  const named = targets === ALL_LINEAR ? [...new Set([...linearLayers(config).keys()].map(lastPart)), ...Object.values(former)] : targets;
  const { router, gateAndUp, down } = config.names.experts!;
  const fused = lastPart(gateAndUp);
  const meant = new Map([
    [former.router, `${lastPart(router)}.weight`],
    [former.gate, fused],
    [former.up, fused],
    [former.down, lastPart(down)],
  ]);
  const meaning = (target: string): string | undefined => [...meant].find(([name]) => endsWith(target, name))?.[1];
  const converted = named.flatMap((target) => meaning(target) ?? []);
  if (converted.length === 0) return tuning;
  const has = (name: string): boolean => named.some((target) => endsWith(target, name));
  if (has(former.gate) !== has(former.up))
    throw new Refusal('unsupported_tuning', `target_modules has only one of ${former.gate} and ${former.up}, which are one matrix in the experts`, {
      param: 'tuning.target_modules',
      hint: 'Name both, or use target_parameters.',
    });
  const pattern = `.*\\.${fused}`;
  const doubled = has(former.gate)
    ? { rank_pattern: { ...ranks, [pattern]: 2 * tuning.r }, alpha_pattern: { ...alphas, [pattern]: 2 * tuning.lora_alpha } }
    : {};
  return {
    ...tuning,
    target_modules: named.filter((target) => meaning(target) === undefined),
    target_parameters: [...new Set([...parameters, ...converted])].sort(),
    ...doubled,
  };
}
