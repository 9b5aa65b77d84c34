/** Combinations of LoRA's fields that cannot be trained, or not delivered so that PEFT computes the same. */
import type { ModelConfig } from '../model-config.ts';
import { Refusal } from '../refusal.ts';
import { onExperts } from './lora-experts.ts';
import type { ResolvedLora } from './lora-fields.ts';
import { checkSelectingFields, type LoraLayer, loraLayers, rankRule, selectionRule } from './lora-layers.ts';
import { trainedWeights } from './lora-weights.ts';

/** Largest rank that is delivered doubled: no adapter has more than twice the largest rank of a plain one. */
const MAX_DECOMPOSED_RANK = 128;

/** Whether the initial values are taken from the base, which then lacks those parts while it is trained. */
export const isDecomposed = ({ init_lora_weights: initial }: Partial<Pick<ResolvedLora, 'init_lora_weights'>>): boolean =>
  typeof initial === 'string' && (initial.startsWith('pissa') || initial === 'olora');

/** @throws Refusal `unsupported_tuning` naming the field that does not go with the others */
function refuse(field: keyof ResolvedLora, what: string, hint: string): never {
  throw new Refusal('unsupported_tuning', what, { param: `tuning.${field}`, hint });
}

/** Refuses what fits no model. @throws Refusal naming the first field that does not go with the others, or a pattern that cannot be used */
export function checkFields(tuning: ResolvedLora): void {
  checkSelectingFields(tuning);
  selectionRule(tuning);
  rankRule(tuning, null);
  const { bias = 'none', modules_to_save: saved, init_lora_weights: initial } = tuning;
  if (bias !== 'none' && saved !== undefined)
    refuse(
      'bias',
      `bias "${bias}" and modules_to_save do not go together`,
      'PEFT saves the biases of saved modules twice, as trained and as they were. Leave one of them out.',
    );
  checkMergeFirst(tuning);
  if (!isDecomposed(tuning)) return;
  const initialised = `init_lora_weights "${initial}"`;
  if (tuning.use_dora === true)
    refuse(
      'use_dora',
      `DoRA and ${initialised} do not go together`,
      "PEFT's conversion for the unchanged base would leave the magnitudes of the changed one. Leave one of them out.",
    );
  if (tuning.lora_dropout > 0)
    refuse('lora_dropout', `${initialised} is trained without dropout, which would drop parts of the base`, 'Set lora_dropout to 0.');
  const largest = Math.max(tuning.r, ...Object.values(tuning.rank_pattern ?? {}));
  if (largest > MAX_DECOMPOSED_RANK)
    refuse(
      'init_lora_weights',
      `${initialised} is delivered with twice the rank, so a rank is at most ${MAX_DECOMPOSED_RANK}, not ${largest}`,
      'Choose a smaller one.',
    );
}

/** The merged part is trained beside the new one, and is delivered with it as one LoRA. */
function checkMergeFirst(tuning: ResolvedLora): void {
  if (tuning.merge_first === undefined) return;
  if (tuning.lora_dropout > 0)
    refuse('lora_dropout', 'merge_first is trained without dropout, which would drop parts of what is merged', 'Set lora_dropout to 0.');
  if (isDecomposed(tuning))
    refuse('init_lora_weights', `init_lora_weights "${tuning.init_lora_weights}" and merge_first do not go together`, 'Leave one of them out.');
  const others = ['use_dora', 'bias', 'modules_to_save', 'rank_pattern', 'alpha_pattern', 'exclude_modules', 'layers_to_transform'] as const;
  const other = others.find((field) => ![undefined, false, 'none'].includes(tuning[field] as never));
  if (other !== undefined) refuse(other, `${other} and merge_first do not go together`, 'Leave one of them out.');
}

/** @returns the adapted layers. @throws Refusal naming the first field that does not go with the others, or with the model */
export function checkLora(config: ModelConfig, tuning: ResolvedLora): Map<string, LoraLayer> {
  checkFields(tuning);
  const layers = loraLayers(config, tuning);
  checkHeadAndEmbedding(layers, { config, tuning });
  checkExperts(config, tuning);
  const special = [...layers].find(([, { kind }]) => kind !== 'linear')?.[0];
  if (tuning.merge_first !== undefined && special !== undefined)
    refuse('merge_first', `merge_first adapts the linear layers of the blocks, and not ${special}`, 'Leave it out of target_modules.');
  const { init_lora_weights: initial = true } = tuning;
  const initialised = `init_lora_weights "${initial}"`;
  for (const [module, { r, out, in: input }] of layers) {
    if (initial === 'orthogonal' && r % 2 !== 0)
      refuse('init_lora_weights', `${initialised} needs even ranks; ${module} has ${r}`, 'Choose an even rank.');
    if (isDecomposed(tuning) && r > Math.min(out, input))
      refuse('init_lora_weights', `${initialised} takes ${r} directions from ${module}, which has ${Math.min(out, input)}`, 'Choose a smaller rank.');
  }
  if (initial === 'olora' && config.inputFirst)
    refuse(
      'init_lora_weights',
      `${initialised} cannot be used with this family, whose layers are stored transposed`,
      'PEFT decomposes them as they are stored, and its matrices do not fit then. Use "pissa".',
    );
  const both = [...trainedWeights(config, tuning).keys()].find((name) => name.endsWith('.weight') && layers.has(name.slice(0, -'.weight'.length)));
  if (both !== undefined)
    refuse(
      'modules_to_save',
      `${both} is in modules_to_save and in target_modules`,
      'Name it whole in modules_to_save, or leave it out of one of them.',
    );
  return layers;
}

/** What PEFT's `ParamWrapper` cannot do. */
function checkExperts(config: ModelConfig, tuning: ResolvedLora): void {
  const [first] = onExperts(config, tuning).target_parameters ?? [];
  if (first === undefined) return;
  const { lora_dropout: dropout, init_lora_weights: initial } = tuning;
  const leaveOut = `Leave experts and routers out: name the modules in target_modules, such as "q_proj" and "v_proj".`;
  if (dropout > 0) refuse('lora_dropout', `experts and routers (${first}) are adapted without dropout`, `Set it to 0. ${leaveOut}`);
  if (tuning.use_dora === true) refuse('use_dora', `DoRA cannot adapt experts and routers (${first})`, leaveOut);
  if (typeof initial === 'string' && initial !== 'gaussian')
    refuse('init_lora_weights', `init_lora_weights "${initial}" does not apply to experts and routers (${first})`, leaveOut);
  if (tuning.merge_first !== undefined) refuse('merge_first', `merge_first does not apply to experts and routers (${first})`, leaveOut);
  for (const field of ['exclude_modules', 'layers_to_transform', 'modules_to_save'] as const)
    if (tuning[field] !== undefined) refuse(field, `${field} selects modules, and does not go with experts and routers (${first})`, leaveOut);
}

/** What is special in the layers outside the blocks. */
function checkHeadAndEmbedding(layers: ReadonlyMap<string, LoraLayer>, { config, tuning }: { config: ModelConfig; tuning: ResolvedLora }): void {
  const named = (kind: LoraLayer['kind']): string | undefined => [...layers].find(([, layer]) => layer.kind === kind)?.[0];
  const [head, embedding] = [named('head'), named('embedding')];
  if (head !== undefined && config.tiedHead)
    refuse(
      'target_modules',
      `the head ${head} is the embedding's matrix, so it cannot be adapted alone`,
      'PEFT would adapt it, but such an adapter cannot be merged. Leave it out.',
    );
  if (head !== undefined && tuning.lora_dropout > 0)
    refuse(
      'lora_dropout',
      `the head ${head} is adapted without dropout: its logits are computed from one matrix`,
      'Set it to 0, or leave the head out.',
    );
  if (embedding !== undefined && tuning.loraplus_lr_ratio !== undefined)
    refuse(
      'loraplus_lr_ratio',
      `LoRA+ and an adapted embedding, ${embedding}, do not go together`,
      'PEFT trains the embedding at a fixed rate of 1e-6 then. Leave one of them out.',
    );
  const special = head ?? embedding;
  if (special === undefined) return;
  if (tuning.use_dora === true)
    refuse('use_dora', `DoRA cannot adapt ${special}`, 'It works on the linear layers of the blocks: leave it out of target_modules.');
  if (tuning.init_lora_weights !== undefined)
    refuse(
      'init_lora_weights',
      `init_lora_weights "${tuning.init_lora_weights}" does not apply to ${special}`,
      'PEFT initialises an embedding in one way only. Leave it out of target_modules, or init_lora_weights.',
    );
}
