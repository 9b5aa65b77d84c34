import { type Static, Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';
import { isBuffer, weightShapes } from '../module-shapes.ts';
import { Refusal } from '../refusal.ts';
import type { TuningFormat } from './format.ts';

/** Full fine-tuning: the weights of the base are trained, all of them or those of some blocks. */
export const FullTuning = Type.Object(
  {
    type: Type.Literal('full'),
    layers_to_transform: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        minItems: 1,
        maxItems: 1024,
        uniqueItems: true,
        description:
          'Numbers of the blocks that are trained, from 0; default: all. What is outside the blocks (embeddings, last norm, head) is trained too.',
      }),
    ),
    freeze_embeddings: Type.Optional(
      Type.Boolean({ default: false, description: 'Leaves the embeddings of tokens and positions as they are, and a head that is tied to them.' }),
    ),
  },
  { additionalProperties: false, title: 'FullTuning' },
);
export type FullTuning = Static<typeof FullTuning>;

export const fullFormat: TuningFormat<FullTuning, FullTuning> = {
  type: 'full',
  schema: FullTuning,
  resolve: ({ type, layers_to_transform: layers, freeze_embeddings: frozen }) => ({
    type,
    ...(layers !== undefined && { layers_to_transform: layers.toSorted((a, b) => a - b) }),
    ...(frozen === true && { freeze_embeddings: true }),
  }),
  baseLearningRate: 2e-5,
  trainedShapes(config, tuning) {
    const isTrained = trainedInFull(config, tuning);
    return new Map([...weightShapes(config)].filter(([name]) => isTrained(name)));
  },
  delivered: 'model',
  exports: [],
};

/**
 * @returns whether a weight is trained, by its name in the checkpoint
 * @throws Refusal `unknown_layer`
 */
export function trainedInFull(
  config: ModelConfig,
  { layers_to_transform: layers, freeze_embeddings: frozen = false }: FullTuning,
): (name: string) => boolean {
  const { names } = config;
  const unknown = layers?.filter((layer) => layer >= config.layers) ?? [];
  if (unknown.length > 0)
    throw new Refusal('unknown_layer', `layers_to_transform names ${unknown.join(', ')}, and the model has ${config.layers} blocks`, {
      param: 'tuning.layers_to_transform',
      hint: `They are numbered from 0 to ${config.layers - 1}.`,
    });
  const embeddings = [names.embedding, names.positions, names.perLayerInputs?.embedding].map((module) => `${module}.weight`);
  return (name) => {
    if (isBuffer(name, config)) return false;
    if (name.startsWith(`${names.blocks}.`)) return layers?.includes(Number(name.slice(names.blocks.length + 1).split('.', 1)[0])) ?? true;
    return !frozen || !embeddings.includes(name);
  };
}
