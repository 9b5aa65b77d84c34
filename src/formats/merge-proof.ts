/** What shows that a merged model is its base with the adapter. */
import { type Static, Type } from 'typebox';

export const MergeProof = Type.Object(
  {
    prompts: Type.Integer({ description: 'Texts whose next token both predict.' }),
    difference: Type.Number({ description: 'Largest distance of the logits from those of the base with the adapter, as a share of their length.' }),
    tolerance: Type.Number({ description: 'What rounding to the type of the weights may make of it.' }),
    passed: Type.Boolean(),
  },
  { title: 'MergeProof' },
);
export type MergeProof = Static<typeof MergeProof>;
