/** Rotary positions as a `config.json` describes them, in the form of transformers 4 (`rope_theta`, `rope_scaling`) and of 5 (`rope_parameters`). */
import type { ConfigFields } from './config-fields.ts';
import { isRecord } from './record.ts';

/** How positions are scaled beyond the length that a model was trained with; the formulas are in the engine. */
export type RopeScaling =
  | { type: 'linear'; factor: number }
  /** Llama 3.1: low frequencies are scaled, high ones are not, those in between are blended. */
  | { type: 'llama3'; factor: number; lowFrequencyFactor: number; highFrequencyFactor: number; originalMaxPositionTokens: number }
  /** NTK-aware (bloc97 2023): the base grows with the sequence length. */
  | { type: 'dynamic'; factor: number; originalMaxPositionTokens: number }
  /** YaRN (Peng et al. 2023). */
  | {
      type: 'yarn';
      factor: number;
      attentionFactor: number;
      betaFast: number;
      betaSlow: number;
      truncate: boolean;
      originalMaxPositionTokens: number;
    }
  /** Gemma 4: the pairs after the first ones are not rotated; `share` of all are. */
  | { type: 'proportional'; share: number; factor: number }
  /** LongRoPE (Ding et al. 2024): one factor per frequency, with one set up to the original context and another beyond it. */
  | { type: 'longrope'; shortFactors: number[]; longFactors: number[]; attentionFactor: number; originalMaxPositionTokens: number };

export interface Rotary {
  theta: number;
  /** How many of a head's elements are rotated, from the first; even. */
  dimensions: number;
  scaling: RopeScaling | null;
  /** Pairs are neighbours, (x[2i], x[2i + 1]), not (x[i], x[i + dimensions / 2]). */
  interleaved?: true;
  /** Queries are multiplied by 1 + beta·log(1 + ⌊position / originalMaxPositionTokens⌋), as in Llama 4. */
  queryScale?: { beta: number; originalMaxPositionTokens: number };
}

export interface RotaryDefaults {
  headSize: number;
  maxPositionTokens: number;
  theta: number;
  /** Field name of transformers 4; null if it had none. */
  thetaField?: string | null;
  /** `Rotary.interleaved` */
  interleaved?: true;
  /** `rope_parameters` of a file without them. */
  parameters?: Readonly<Record<string, unknown>>;
  /** Of a family that may rotate a share of each head: the field of transformers 4, and the share without it. Other families rotate heads whole. */
  partial?: { field: string; fallback: number };
  /** Of a family whose files have the original context outside: what it is without the field. */
  original?: { fallback: number };
  /** Of a family whose files share the frequencies out over a picture's axes. A text's positions are the same on all of them. */
  sections?: boolean;
  /** Of a family whose files scale queries: `llama_4_scaling_beta`. */
  scalesQueries?: boolean;
  /** These layers' entry in `rope_parameters`, in a family that has one per kind of layer. */
  layerType?: LayerType;
}

type LayerType = 'full_attention' | 'sliding_attention';

const TYPES = {
  default: 'default',
  linear: 'linear',
  llama3: 'llama3',
  dynamic: 'dynamic',
  yarn: 'yarn',
  longrope: 'longrope',
  proportional: 'proportional',
} as const;

/** Of a family with its original context outside (Phi-3), in which `yarn` has always meant LongRoPE. */
const LONGROPE_TYPES = { default: 'default', longrope: 'longrope', su: 'longrope', yarn: 'longrope' } as const;

export function readRotary(fields: ConfigFields, defaults: RotaryDefaults): Rotary {
  const { headSize, thetaField = 'rope_theta', partial, layerType, interleaved, parameters } = defaults;
  const given = layerType === undefined ? ropeOfModel(fields) : ropeOfLayers(fields, layerType, parameters);
  const rope = given ?? (parameters === undefined ? null : fields.derived('rope_parameters.', parameters));
  const ofFile = () => (thetaField === null ? defaults.theta : fields.positive(thetaField, defaults.theta));
  const theta = rope?.value('rope_theta') === undefined ? ofFile() : rope.positive('rope_theta');
  // Its share of rotated pairs is part of the scaling.
  const isProportional = (rope?.value('rope_type') ?? rope?.value('type')) === 'proportional';
  const share = isProportional ? 1 : readShare(fields, rope, partial);
  const dimensions = partial === undefined ? headSize : Math.trunc(headSize * share);
  if (dimensions % 2 !== 0 || dimensions < 2 || dimensions > headSize) {
    fields.contradiction(`${dimensions} of the head's ${headSize} elements would be rotated; rotary positions need pairs`);
  }
  const scaling = rope === null ? null : readScaling(fields, rope, { ...defaults, dimensions });
  if (partial === undefined && scaling !== null && share !== 1)
    fields.unsupported(`partial_rotary_factor is ${share} with scaled rotary positions, which transformers cannot run in this family`);
  if (defaults.sections) for (const field of ['mrope_section', 'mrope_interleaved']) rope?.value(field);
  const queryScale = defaults.scalesQueries && rope !== null ? readQueryScale(rope, scaling) : null;
  rope?.refuseUnread();
  return { theta, dimensions, scaling, ...(interleaved && { interleaved }), ...(queryScale && { queryScale }) };
}

function readQueryScale(rope: ConfigFields, scaling: RopeScaling | null): Rotary['queryScale'] | null {
  rope.value('max_position_embeddings'); // which the configuration has outside too
  if (rope.value('llama_4_scaling_beta') === undefined) return null;
  const beta = rope.positive('llama_4_scaling_beta');
  const original = scaling !== null && 'originalMaxPositionTokens' in scaling ? scaling.originalMaxPositionTokens : null;
  return { beta, originalMaxPositionTokens: original ?? rope.natural('original_max_position_embeddings') };
}

/** The `rope_scaling` of transformers 4, which takes precedence, or the `rope_parameters` of 5. */
function ropeOfModel(fields: ConfigFields): ConfigFields | null {
  const [scaling, parameters] = [fields.nested('rope_scaling'), fields.nested('rope_parameters')];
  if (scaling === null || scaling.isEmpty) return parameters;
  fields.ignore('rope_parameters');
  return scaling;
}

/** The entry of `rope_parameters` for a kind of layer, into which `rope_scaling` is merged for full attention. */
function ropeOfLayers(fields: ConfigFields, layerType: LayerType, fallback: RotaryDefaults['parameters'] = { rope_type: 'default' }): ConfigFields {
  const [scaling, parameters] = [fields.value('rope_scaling'), fields.value('rope_parameters')];
  const own = isRecord(parameters) ? parameters[layerType] : undefined;
  if (isRecord(parameters)) for (const key of Object.keys(parameters)) if (!LAYER_TYPES.has(key)) fields.nested('rope_parameters')?.ignore(key); // only entries per kind are read
  const merges = layerType === 'full_attention' && isRecord(scaling);
  const merged = { ...(isRecord(own) ? own : fallback), ...(merges ? scaling : {}) };
  return fields.derived(merges ? 'rope_scaling.' : `rope_parameters.${layerType}.`, merged);
}

const LAYER_TYPES: ReadonlySet<string> = new Set<LayerType>(['full_attention', 'sliding_attention']);

/** The share of each head that is to be rotated. Families that rotate heads whole ignore it. */
function readShare(fields: ConfigFields, rope: ConfigFields | null, partial: RotaryDefaults['partial']): number {
  const name = 'partial_rotary_factor';
  const [of, field] = rope?.value(name) === undefined ? [fields, partial?.field ?? name] : [rope, name];
  if (partial === undefined) of.ignore(field, 1);
  return of.positive(field, partial?.fallback ?? 1);
}

function readScaling(fields: ConfigFields, rope: ConfigFields, defaults: RotaryDefaults & { dimensions: number }): RopeScaling | null {
  const types = defaults.original === undefined ? TYPES : LONGROPE_TYPES;
  const type = rope.choice<keyof typeof TYPES>(rope.value('rope_type') === undefined && rope.has('type') ? 'type' : 'rope_type', types, 'default');
  if (rope.value('rope_type') !== undefined) rope.ignore('type', rope.value('rope_type'));
  const originalMaxPositionTokens = readOriginalContext(fields, rope, defaults);
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type, factor: rope.positive('factor') };
    case 'proportional':
      return { type, share: rope.positive('partial_rotary_factor', 1), factor: rope.positive('factor', 1) };
    case 'dynamic':
      return { type, factor: rope.positive('factor'), originalMaxPositionTokens: defaults.maxPositionTokens };
    case 'llama3': {
      const [lowFrequencyFactor, highFrequencyFactor] = [rope.positive('low_freq_factor'), rope.positive('high_freq_factor')];
      return { type, factor: rope.positive('factor'), lowFrequencyFactor, highFrequencyFactor, originalMaxPositionTokens };
    }
    case 'yarn': {
      const factor = rope.positive('factor', rope.has('factor') ? defaults.maxPositionTokens / originalMaxPositionTokens : undefined);
      return {
        type,
        factor,
        attentionFactor: yarnAttentionFactor(rope, factor),
        betaFast: rope.positive('beta_fast', 32),
        betaSlow: rope.positive('beta_slow', 1),
        truncate: rope.flag('truncate', true),
        originalMaxPositionTokens,
      };
    }
    case 'longrope': {
      const factor = rope.positive('factor', defaults.maxPositionTokens / originalMaxPositionTokens);
      const fallback = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositionTokens));
      return {
        type,
        shortFactors: rope.numbers('short_factor', defaults.dimensions / 2),
        longFactors: rope.numbers('long_factor', defaults.dimensions / 2),
        attentionFactor: rope.positive('attention_factor', fallback),
        originalMaxPositionTokens,
      };
    }
  }
}

/** The context that positions are scaled from: the file's top level takes precedence, unless kinds of layers have entries of their own. */
function readOriginalContext(fields: ConfigFields, rope: ConfigFields, { maxPositionTokens, original, layerType }: RotaryDefaults): number {
  const name = 'original_max_position_embeddings';
  const inside = rope.natural(name, maxPositionTokens);
  const outside = layerType === undefined ? fields.value(name) : undefined;
  return outside === undefined ? (original?.fallback ?? inside) : fields.natural(name);
}

/** 0.1·ln(s) + 1, unless the file gives the factor itself or the two `mscale`s whose ratio it is. */
function yarnAttentionFactor(rope: ConfigFields, factor: number): number {
  const temperature = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  const [mscale, allDimensions] = [rope.value('mscale'), rope.value('mscale_all_dim')];
  const fallback = mscale && allDimensions ? temperature(rope.positive('mscale')) / temperature(rope.positive('mscale_all_dim')) : temperature(1);
  return rope.positive('attention_factor', fallback);
}
