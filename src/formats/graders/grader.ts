/** OpenAI's graders, as requests have them. */
import Type from 'typebox';
import { literals } from '../one-of.ts';
import { METRICS, type Metric } from './similarity.ts';

/** For people, and in a `multi` grader for the formula. */
const name = Type.String({ minLength: 1, maxLength: 64 });
/** As long as a prompt with its context. */
const template = Type.String({ maxLength: 16 * 1024, description: 'May have `{{sample.output_text}}` and `{{item.key}}`.' });

const StringCheck = Type.Object(
  {
    type: Type.Literal('string_check'),
    name,
    input: template,
    reference: template,
    operation: literals(['eq', 'ne', 'like', 'ilike'], {
      description: 'Equal, not equal, or the input contains the reference (`ilike`: in whatever case).',
    }),
  },
  { additionalProperties: false, title: 'StringCheckGrader', description: '1 or 0.' },
);

const TextSimilarity = Type.Object(
  {
    type: Type.Literal('text_similarity'),
    name,
    input: template,
    reference: template,
    evaluation_metric: literals([...(Object.keys(METRICS) as Metric[]), 'meteor', 'cosine'], {
      description: '`meteor` and `cosine` are refused: they need WordNet and an embedding model.',
    }),
  },
  { additionalProperties: false, title: 'TextSimilarityGrader', description: 'From 0 to 1.' },
);

/** Known, so that a request with one is told what it would take. */
const unsupported = <T extends string>(type: T, title: string) =>
  Type.Object({ type: Type.Literal(type), name }, { additionalProperties: true, title, description: 'Not supported by this service.' });
const Python = unsupported('python', 'PythonGrader');
const ScoreModel = unsupported('score_model', 'ScoreModelGrader');
const LabelModel = unsupported('label_model', 'LabelModelGrader');

const SINGLE = [StringCheck, TextSimilarity, Python, ScoreModel, LabelModel] as const;
const Single = Type.Union([...SINGLE]);
export type SingleGrader = Type.Static<typeof Single>;

/** More than anyone weighs. */
const MAX_GRADERS = 10;

const Multi = Type.Object(
  {
    type: Type.Literal('multi'),
    name,
    graders: Type.Union([Type.Record(Type.String(), Single, { maxProperties: MAX_GRADERS }), ...SINGLE], {
      description: 'By the names that the formula uses; or only one, which has its own name there.',
    }),
    calculate_output: Type.String({ minLength: 1, description: 'A formula over the names of the graders: `0.7 * answer + 0.3 * style`.' }),
  },
  { additionalProperties: false, title: 'MultiGrader' },
);

export const Grader = Type.Union([StringCheck, TextSimilarity, Multi, Python, ScoreModel, LabelModel], { title: 'Grader' });
export type Grader = Type.Static<typeof Grader>;
