/** The token receipt: what training will really see of a job's files, told before the first step. Counts are of examples unless they say tokens. */
import { type Static, Type } from 'typebox';

const count = (description: string) => Type.Integer({ minimum: 0, description });
const lines = Type.Array(Type.Integer({ minimum: 1 }), { description: 'The first lines they are on, from 1; ten at most.' });

const Span = Type.Object({ text: Type.String(), supervised: Type.Boolean({ description: 'Whether the model learns to write it.' }) });

const Sample = Type.Object({
  line: Type.Integer({ minimum: 1, description: 'Of the file, from 1.' }),
  tokens: count('Tokens of the example as it is trained on.'),
  supervised_tokens: count('Of them learned.'),
  shown_tokens: count('How many of them the spans hold, from the first on.'),
  spans: Type.Array(Span, { description: 'The decoded tokens, special ones included; the texts joined are what the model reads.' }),
});

export const FileReceipt = Type.Object(
  {
    sha256: Type.String({ description: "Of the file's bytes, hex." }),
    lines: count('Examples in the file.'),
    examples: count('Those that are trained on (or measured on), after truncation.'),
    tokens: count('Tokens of these examples.'),
    supervised_tokens: count('Of them learned.'),
    longest: Type.Object({ tokens: count('Before truncation.'), line: Type.Integer({ minimum: 1 }) }),
    too_long: Type.Object(
      {
        examples: count('Longer than max_length.'),
        truncated: count('Of them cut to max_length.'),
        dropped: count('Of them left out.'),
        lines,
      },
      { description: 'With truncation `error` nothing is cut or dropped and the job fails when there are any.' },
    ),
    nothing_to_learn: Type.Object({
      examples: count('Left out because no token of theirs is learned.'),
      after_truncation: count('Of them those that had such tokens until they were cut.'),
      lines,
    }),
    duplicates: count('Those of `examples` that repeat an earlier one, token for token.'),
    samples: Type.Array(Sample, { description: 'The first examples, decoded.' }),
  },
  { title: 'FileReceipt' },
);
export type FileReceipt = Static<typeof FileReceipt>;

const Template = Type.Object({
  sha256: Type.String({ description: "Of the template's source, hex." }),
  marks_generation: Type.Boolean({
    description: 'Whether it says itself what the assistant generated; else a turn is what it adds to the rendering.',
  }),
  date: Type.String({ description: 'What a template that asks for the date is told, ISO 8601.' }),
});

export const TokenReceipt = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.receipt'),
    max_length: count('The longest example, tokens.'),
    truncation: Type.String({ description: 'What happens to a longer one: error, right, left or drop.' }),
    template: Type.Union([Template, Type.Null()], { description: 'The chat template; null when the model has none.' }),
    training: FileReceipt,
    validation: Type.Union([FileReceipt, Type.Null()]),
    overlap: Type.Union([count('Validation examples that are in the training file too, token for token.'), Type.Null()]),
  },
  { title: 'TokenReceipt' },
);
export type TokenReceipt = Static<typeof TokenReceipt>;
