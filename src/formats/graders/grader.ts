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

const Pattern = Type.Object(
  {
    type: Type.Literal('regex_match'),
    name,
    input: template,
    pattern: Type.String({
      minLength: 1,
      maxLength: 1000,
      description: "A regular expression of JavaScript's with the flag `u`, found anywhere in the input.",
    }),
    ignore_case: Type.Optional(Type.Boolean({ default: false })),
    reference: Type.Optional(
      Type.Unsafe<string>({ ...template, description: 'What the first group of the first match, or else the match, must be. Left out: anything.' }),
    ),
  },
  { additionalProperties: false, title: 'RegexMatchGrader', description: "Graft's own: 1 or 0." },
);

const JsonSchema = Type.Object(
  {
    type: Type.Literal('json_schema'),
    name,
    input: template,
    schema: Type.Record(Type.String(), Type.Unknown(), { description: 'JSON Schema, draft 2020-12. `format` is not checked.' }),
  },
  { additionalProperties: false, title: 'JsonSchemaGrader', description: "Graft's own: 1 if the input is JSON that the schema accepts, or 0." },
);

/** More than a classifier is asked for in a prompt. */
const MAX_LABELS = 100;

const Label = Type.Object(
  {
    type: Type.Literal('label_match'),
    name,
    input: template,
    reference: template,
    labels: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 2, maxItems: MAX_LABELS }),
  },
  {
    additionalProperties: false,
    title: 'LabelMatchGrader',
    description:
      "Graft's own: 1 if input and reference have the same one of the labels, as words of their own and in whatever case, or 0. Its mean is the accuracy.",
  },
);

/** Known, so that a request with one is told what it would take. */
const unsupported = <T extends string>(type: T, title: string) =>
  Type.Object({ type: Type.Literal(type), name }, { additionalProperties: true, title, description: 'Not supported by this service.' });
const Python = unsupported('python', 'PythonGrader');
const ScoreModel = unsupported('score_model', 'ScoreModelGrader');
const LabelModel = unsupported('label_model', 'LabelModelGrader');

const SINGLE = [StringCheck, TextSimilarity, Pattern, JsonSchema, Label, Python, ScoreModel, LabelModel] as const;
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

export const Grader = Type.Union([StringCheck, TextSimilarity, Pattern, JsonSchema, Label, Multi, Python, ScoreModel, LabelModel], {
  title: 'Grader',
});
export type Grader = Type.Static<typeof Grader>;
