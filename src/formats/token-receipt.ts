/** The token receipt: what training will see of a job's files, reported before the first step. Counts are of examples unless they say tokens. */
import { type Static, Type } from 'typebox';
import { count } from './count.ts';

const lines = Type.Array(Type.Integer({ minimum: 1 }), { description: 'Numbers of the first such lines, from 1; at most ten.' });

const Span = Type.Object({
  text: Type.String(),
  supervised: Type.Boolean({ description: 'Whether the model learns to write it.' }),
  starts_text: Type.Optional(
    Type.Boolean({ description: 'True where a further text of the example starts: the model sees nothing of the spans before it.' }),
  ),
});

const TEACHER_TOKENS = "How many of those trained on have a teacher's log-probabilities; missing where none was asked for.";

const Sample = Type.Object({
  line: Type.Integer({ minimum: 1, description: 'Line of the file, from 1.' }),
  tokens: count('Tokens of the example as it is trained on.'),
  supervised_tokens: count('How many of them are trained on.'),
  teacher_tokens: Type.Optional(count(TEACHER_TOKENS)),
  shown_tokens: count('How many of them the spans cover, from the first on.'),
  spans: Type.Array(Span, {
    description: 'The decoded tokens, special ones included. Joined they are what the model reads, up to a span that starts a further text.',
  }),
});

export const FileReceipt = Type.Object(
  {
    sha256: Type.String({ description: "Hash of the file's bytes, hex." }),
    lines: count('Examples in the file.'),
    examples: count('Examples used for training (or validation), after truncation.'),
    tokens: count('Tokens of these examples.'),
    supervised_tokens: count('How many of them are trained on.'),
    teacher_tokens: Type.Optional(count(TEACHER_TOKENS)),
    longest: Type.Object({ tokens: count('Tokens before truncation.'), line: Type.Integer({ minimum: 1 }) }),
    too_long: Type.Object(
      {
        examples: count('Examples longer than max_length.'),
        truncated: count('How many of them are cut to max_length.'),
        dropped: count('How many of them are left out.'),
        lines,
      },
      { description: 'With truncation `error` nothing is cut or dropped, and the job fails if there are any.' },
    ),
    nothing_to_learn: Type.Object({
      examples: count('Examples left out because none of their tokens is trained on.'),
      after_truncation: count('How many of them lost all such tokens by truncation.'),
      lines,
    }),
    made: Type.Optional(
      Type.Object(
        {
          texts: count('Texts longer than max_length.'),
          pieces: count('Examples that they were cut into.'),
          conversations: count('Conversations of several turns to learn, with multi_turn "split".'),
          turns: count('Examples that were made of them.'),
        },
        { description: 'Lines that make several examples; missing if there are none.' },
      ),
    ),
    duplicates: count('How many of `examples` repeat an earlier one, token for token.'),
    samples: Type.Array(Sample, { description: 'The first examples, decoded; empty once the file has been deleted.' }),
  },
  { title: 'FileReceipt' },
);
export type FileReceipt = Static<typeof FileReceipt>;

const named = {
  name: Type.String({ description: 'Its name in the model: default, unless the model has others alone.' }),
  sha256: Type.String({ description: "Hash of the template's source, hex." }),
  marks_generation: Type.Boolean({
    description: 'Whether it marks what the assistant generated; otherwise a turn is what it adds to the rendering.',
  }),
};

/** The chat template of a job. */
export const ReceiptTemplate = Type.Object({
  ...named,
  own: Type.Boolean({ description: "Whether the job brought it; otherwise it is the model's." }),
  with_tools: Type.Union([Type.Object(named), Type.Null()], {
    description: 'The template for examples with tools, if the model has one of its own for them (tool_use), as transformers chooses.',
  }),
  chat_template_kwargs: Type.Any({ description: 'The variables that the job gives to the template, as an object.' }),
  date: Type.String({ description: 'The date given to a template that asks for it, ISO 8601.' }),
});

export const TokenReceipt = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.receipt'),
    max_length: count('Longest example allowed, tokens.'),
    truncation: Type.String({ description: 'What happens to a longer one: error, right, left or drop.' }),
    template: Type.Union([ReceiptTemplate, Type.Null()], { description: 'The chat template; null when the model has none.' }),
    training: FileReceipt,
    validation: Type.Union([FileReceipt, Type.Null()]),
    overlap: Type.Union([count('Validation examples that are also in the training file, token for token.'), Type.Null()]),
  },
  { title: 'TokenReceipt' },
);
export type TokenReceipt = Static<typeof TokenReceipt>;
