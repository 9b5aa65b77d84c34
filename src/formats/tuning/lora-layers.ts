/** Which layers LoRA adapts, each with its rank and scaling: PEFT's rules for `target_modules` and the fields around it. */
import type { ModelConfig } from '../model-config.ts';
import { linearLayers } from '../module-shapes.ts';
import { Refusal } from '../refusal.ts';
import { expertLayers, onExperts } from './lora-experts.ts';
import { ALL_LINEAR, type ResolvedLora } from './lora-fields.ts';
import { pythonPattern } from './python-pattern.ts';

/** A layer that is adapted: an embedding is a product with the one-hot rows of the tokens, so its `in` is the vocabulary. */
export interface LoraLayer {
  kind: 'linear' | 'head' | 'embedding' | 'experts';
  out: number;
  in: number;
  /** Of each expert, if it has any. */
  r: number;
  /** The matrices of all experts, [experts, out, in], each of which has an A and a B. */
  experts?: { weight: string; count: number; perToken: number };
  /** The factor on B·A. */
  scaling: number;
}

/** The fields that select layers. */
export type Selection = Pick<
  ResolvedLora,
  'target_modules' | 'target_parameters' | 'exclude_modules' | 'layers_to_transform' | 'layers_pattern' | 'modules_to_save'
>;

/** The rows of A and columns of B: of all experts together. */
export const fullRank = ({ r, experts }: Pick<LoraLayer, 'r' | 'experts'>): number => r * (experts?.count ?? 1);

export type Ranks = Pick<ResolvedLora, 'r' | 'lora_alpha' | 'use_rslora' | 'rank_pattern' | 'alpha_pattern'>;

/** PEFT's rule for names in lists: the whole name, or its end after a dot. */
const isNamed = (module: string, names: readonly string[]): boolean => names.some((name) => module === name || module.endsWith(`.${name}`));
const listed = <T>(one: T | readonly T[] | undefined): readonly T[] => (one === undefined ? [] : Array.isArray(one) ? one : [one as T]);

/** The adapted layers of a model, by name, in the model's order. @throws Refusal naming whatever matches nothing */
export function loraLayers(config: ModelConfig, asked: Selection & Ranks): Map<string, LoraLayer> {
  const tuning = onExperts(config, asked);
  const layers = adaptable(config, tuning);
  const targeted = tuning.target_modules.length === 0 ? [] : targetedModules([...layers.keys()], tuning);
  const ofExperts = expertLayers(config, tuning.target_parameters ?? []);
  const rankOf = rankRule(tuning, [...targeted, ...[...ofExperts.values()].map(({ parameter }) => parameter)]);
  return new Map([
    ...targeted.map((module): [string, LoraLayer] => [module, { ...layers.get(module)!, ...rankOf(module) }]),
    ...[...ofExperts].map(([module, { parameter, ...layer }]): [string, LoraLayer] => [module, { ...layer, ...rankOf(parameter) }]),
  ]);
}

/** What could be adapted: all linear layers; head and embedding only if they are named, as in PEFT. */
function adaptable(config: ModelConfig, { target_modules: targets }: Selection): Map<string, Pick<LoraLayer, 'kind' | 'in' | 'out'>> {
  const { names, vocabSize, hiddenSize } = config;
  const layers = new Map(
    [...linearLayers(config)].map(([module, { out, in: input }]) => [module, { kind: 'linear' as LoraLayer['kind'], out, in: input }]),
  );
  if (targets === ALL_LINEAR) return layers;
  return layers
    .set(names.head, { kind: 'head', out: vocabSize, in: hiddenSize })
    .set(names.embedding, { kind: 'embedding', out: hiddenSize, in: vocabSize });
}

/** @throws Refusal `unknown_target_module`, `unsupported_pattern` */
export function targetedModules(modules: readonly string[], selection: Selection): string[] {
  checkSelection(modules, selection);
  const isSelected = selectionRule(selection);
  const targeted = modules.filter(isSelected);
  if (targeted.length === 0) {
    const said = Object.entries(selection).filter(([field]) => SELECTING.has(field));
    throw new Refusal('unknown_target_module', `no layer of the model is selected by ${said.map(shown).join(', ')}`, {
      param: 'tuning.target_modules',
      hint: `The model has ${shortNames(modules)}; the first is ${modules[0]}.`,
    });
  }
  return targeted;
}

/** @returns whether a module is adapted, by its name alone. @throws Refusal `unsupported_pattern` */
export function selectionRule(selection: Selection): (module: string) => boolean {
  const { target_modules: targets, exclude_modules: excluded = [], layers_to_transform: indexes, modules_to_save: saved = [] } = selection;
  const isListed = moduleRule(excluded, 'tuning.exclude_modules');
  // What is trained whole is not adapted, wherever in a name it stands.
  const isExcluded = (module: string): boolean => isListed(module) || saved.some((name) => `.${module}.`.includes(`.${name}.`));
  const isTarget = targets === ALL_LINEAR ? () => true : moduleRule(targets, 'tuning.target_modules');
  const indexOf = indexRule(selection);
  const wanted = listed(indexes);
  return (module) => isTarget(module) && !isExcluded(module) && (wanted.length === 0 || wanted.includes(indexOf(module) ?? -1));
}

/**
 * Rank and scaling of each module.
 * @param modules those that are adapted; null if they are not known yet
 * @throws Refusal `unsupported_pattern`; `unknown_target_module` for a pattern that matches none of the modules
 */
export function rankRule(
  { r, lora_alpha, use_rslora, rank_pattern = {}, alpha_pattern = {} }: Ranks,
  modules: readonly string[] | null,
): (module: string) => { r: number; scaling: number } {
  const rankOf = patternRule(rank_pattern, { field: 'rank_pattern', modules });
  const alphaOf = patternRule(alpha_pattern, { field: 'alpha_pattern', modules });
  return (module) => {
    const [rank, alpha] = [rankOf(module) ?? r, alphaOf(module) ?? lora_alpha];
    return { r: rank, scaling: alpha / (use_rslora ? Math.sqrt(rank) : rank) };
  };
}

/** PEFT's `get_pattern_key`: the first pattern, in order, that fits the end of a name after a dot, or all of it. */
function patternRule(
  patterns: Readonly<Record<string, number>>,
  { field, modules }: { field: 'rank_pattern' | 'alpha_pattern'; modules: readonly string[] | null },
): (module: string) => number | undefined {
  const param = `tuning.${field}`;
  const rules = Object.entries(patterns).map(
    ([pattern, value]) => [pythonPattern(pattern, { param, within: (it) => `(.*\\.)?(${it})$` }), value, pattern] as const,
  );
  const idle = rules.filter(([fits]) => modules?.some(fits) === false).map(([, , pattern]) => pattern);
  if (modules !== null && idle.length > 0)
    throw new Refusal('unknown_target_module', `${field} has ${idle.join(', ')}, which matches no adapted layer`, {
      param,
      hint: `A key is a module's name, the end of one, or a regular expression for it. The adapted layers are ${shortNames(modules)}.`,
    });
  return (module) => rules.find(([fits]) => fits(module))?.[1];
}

/** A list of names, or a regular expression for whole names. */
const moduleRule = (targets: string | readonly string[], param: string): ((module: string) => boolean) =>
  typeof targets === 'string' ? pythonPattern(targets, { param }) : (module) => isNamed(module, targets);

/** The index of a module's block: the first number in its name, or the one after a name in `layers_pattern`. */
function indexRule({ layers_pattern }: Selection): (module: string) => number | null {
  const names = listed(layers_pattern);
  const rules =
    names.length === 0 ? [/^.*?\.[^.]*\.(\d+)\./] : names.map((name) => new RegExp(`^(?:.*?\\.)?${name.replaceAll('.', '\\.')}\\.(\\d+)\\.`));
  return (module) => {
    for (const rule of rules) {
      const index = rule.exec(module)?.[1];
      if (index !== undefined) return Number(index);
    }
    return null;
  };
}

const SELECTING: ReadonlySet<string> = new Set(['target_modules', 'exclude_modules', 'layers_to_transform', 'layers_pattern']);
const shown = ([field, value]: [string, unknown]): string => `${field} ${JSON.stringify(value)}`;

/** The last parts of modules' names, each once. */
export const lastParts = (modules: readonly string[]): string[] => [...new Set(modules.map((module) => module.slice(module.lastIndexOf('.') + 1)))];
/** The same for messages. */
export const shortNames = (modules: readonly string[]): string => lastParts(modules).join(', ');

/** Refuses combinations that PEFT refuses. */
export function checkSelectingFields({ target_modules: targets, layers_to_transform: indexes, layers_pattern: pattern }: Selection): void {
  if (typeof targets === 'string' && indexes !== undefined)
    throw new Refusal('unsupported_tuning', `layers_to_transform needs a list of target_modules, not "${targets}"`, {
      param: 'tuning.layers_to_transform',
      hint: 'PEFT has no other combination: list the modules, or put the layers into a regular expression.',
    });
  if (pattern !== undefined && indexes === undefined)
    throw new Refusal('unsupported_tuning', 'layers_pattern says where the index of layers_to_transform stands, which is not given', {
      param: 'tuning.layers_pattern',
      hint: 'Give both.',
    });
}

/** Refuses each name and index that matches nothing. */
function checkSelection(modules: readonly string[], selection: Selection): void {
  const { target_modules: targets, exclude_modules: excluded, layers_to_transform: indexes } = selection;
  if (Array.isArray(targets)) refuseUnknown(modules, targets);
  const idle = listed(excluded).filter((name) => !modules.some(moduleRule(Array.isArray(excluded) ? [name] : name, 'tuning.exclude_modules')));
  if (idle.length > 0)
    throw new Refusal('unknown_target_module', `exclude_modules has ${idle.join(', ')}, which no layer is called`, {
      param: 'tuning.exclude_modules',
      hint: `The model has ${shortNames(modules)}.`,
    });
  const indexOf = indexRule(selection);
  const existing = new Set(modules.map(indexOf));
  const missing = listed(indexes).filter((index) => !existing.has(index));
  if (missing.length > 0) {
    const numbers = [...existing].filter((index) => index !== null);
    throw new Refusal('unknown_target_module', `layers_to_transform has ${missing.join(', ')}, which the model does not have`, {
      param: 'tuning.layers_to_transform',
      hint: numbers.length > 0 ? `Its layers are 0 to ${Math.max(...numbers)}.` : 'layers_pattern is the name before the index, such as "layers".',
    });
  }
}

function refuseUnknown(modules: readonly string[], targets: readonly string[]): void {
  const unknown = targets.filter((target) => !modules.some((module) => isNamed(module, [target])));
  if (unknown.length === 0) return;
  // As in PEFT, it is a name like any other once it is in a list.
  const meant = `"${ALL_LINEAR}" selects them all, as a string and not in a list: "target_modules": "${ALL_LINEAR}".`;
  throw new Refusal('unknown_target_module', `the model has no linear layer called ${unknown.join(', ')}`, {
    param: 'tuning.target_modules',
    hint: `It has ${shortNames(modules)}; ${unknown.includes(ALL_LINEAR) ? meant : `${ALL_LINEAR} selects them all.`}`,
  });
}
