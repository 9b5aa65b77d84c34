import Type from 'typebox';
import type { JudgedFile } from '../formats/judged-file.ts';
import { nullable } from '../formats/nullable.ts';
import { oneOf } from '../formats/one-of.ts';
import { Refusal } from '../formats/refusal.ts';
import type { StoredFile } from './store.ts';

const FileProblem = Type.Object(
  {
    line: nullable(Type.Integer({ description: 'From 1.' })),
    message: nullable(Type.Integer({ description: 'Which message of the conversation, from 1.' })),
    field: nullable(Type.String()),
    row: nullable(Type.Integer({ description: 'In a CSV or Parquet table: which row, from 1, without the header.' })),
    column: nullable(Type.String()),
    problem: Type.String(),
    hint: nullable(Type.String({ description: 'What to do.' })),
  },
  { title: 'FileProblem' },
);

const ExampleCounts = Type.Object(
  {
    chat: Type.Integer(),
    completion: Type.Integer(),
    preference: Type.Integer(),
    text: Type.Optional(Type.Integer({ description: 'Plain texts; missing if there are none.' })),
    labelled: Type.Optional(Type.Integer({ description: 'Prompts and completions with a label; missing if there are none.' })),
    distilled: Type.Optional(Type.Integer({ description: "Conversations with a teacher's log-probabilities; missing if there are none." })),
  },
  { title: 'ExampleCounts' },
);

export const FileValidation = Type.Object(
  {
    object: Type.Literal('file.validation'),
    file_id: Type.String(),
    status: oneOf(['uploaded', 'processed', 'error']),
    lines: nullable(Type.Integer()),
    examples: nullable(ExampleCounts),
    tokens: Type.Null({ description: 'Unknown: they depend on the model. The receipt of a job has them.' }),
    problem_count: nullable(Type.Integer()),
    problems: Type.Array(FileProblem, { description: 'The first hundred.' }),
    warnings: Type.Array(Type.String(), { description: 'What some jobs will refuse, depending on their model.' }),
  },
  { title: 'FileValidation' },
);

/** @throws Refusal for a file that is never judged */
export function validationView(file: StoredFile, judged: JudgedFile | null): Type.Static<typeof FileValidation> {
  if (judged === null && file.status !== 'uploaded')
    throw new Refusal('file_not_validated', `The file "${file.id}" was not validated`, {
      param: 'file_id',
      hint:
        file.purpose === 'fine-tune'
          ? 'It is from an older version; a job on it reads it all the same.'
          : `Only datasets are, whose purpose is "fine-tune"; that of this file is "${file.purpose}".`,
    });
  return {
    object: 'file.validation',
    file_id: file.id,
    status: file.status,
    lines: judged?.lines ?? null,
    examples: judged?.examples ?? null,
    tokens: null,
    problem_count: judged?.problemCount ?? null,
    problems: judged?.problems ?? [],
    warnings: judged?.warnings ?? [],
  };
}
