import Type from 'typebox';
import { EXPORT_DTYPES, EXPORT_FORMATS } from '../formats/export-format.ts';
import { MergeProof } from '../formats/merge-proof.ts';
import { nullable } from '../formats/nullable.ts';
import { literals } from '../formats/one-of.ts';
import { secondsOrNull, unixSeconds } from '../formats/unix-seconds.ts';
import { after, cursorListOf, limit } from '../http/list-schema.ts';
import { eventLevels } from '../jobs/job.ts';
import { type Export, type ExportEvent, exportStatuses, type HubTarget } from './export.ts';

const DEFAULT_PAGE = 20;
/** What a tuned model's name has at most: base, suffix and colons. */
const MAX_NAME_LENGTH = 1024;

const format = literals(EXPORT_FORMATS, {
  description:
    '`hugging_face`: a model directory with the adapter merged in. `gguf`: the same as one file for llama.cpp and Ollama, with a Modelfile. `peft_adapter`: the adapter as it was trained, for PEFT. `gguf_adapter`: the adapter alone, for `--lora`. `mlx_adapter`: the adapter as mlx-lm reads it.',
});
const dtype = literals(EXPORT_DTYPES, {
  description: 'Type of the weights; default: `bf16` for `hugging_face`, `f16` for `gguf`, `f32` for adapters. `q8_0` is for `gguf` alone.',
});

/** As long as the hub takes them: two parts of 96. */
const repoId = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$',
  description: 'A model repository of the hub, which is made if it does not exist.',
  examples: ['my-org/greeter'],
});
const branch = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$', description: 'A branch, which is made if it does not exist.' });

const ToHub = Type.Object(
  {
    repo_id: repoId,
    private: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'Whether nobody else may see it. A repository that exists and is public is refused unless this is false.',
      }),
    ),
    revision: Type.Optional(branch),
    token: Type.Optional(
      Type.String({
        pattern: '^hf_[A-Za-z0-9]{1,200}$',
        description:
          'May write there. It is kept encrypted until the export has ended, and never shown; default: the token of whoever runs the service, for the repositories that they allow.',
      }),
    ),
  },
  { additionalProperties: false, title: 'ExportToHub', description: 'Pushes the files to a repository of the Hugging Face hub, as one commit.' },
);

const ToVllm = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$',
        description: 'What requests to vLLM name as `model`; default: the name of the tuned model, with - for /.',
      }),
    ),
  },
  {
    additionalProperties: false,
    title: 'ExportToVllm',
    description: 'Has the vLLM that the service is set up with serve the adapter, for as long as the export exists. For `peft_adapter`.',
  },
);

export const CreateExport = Type.Object(
  {
    model: Type.String({ minLength: 1, maxLength: MAX_NAME_LENGTH, description: 'A tuned model or a checkpoint.' }),
    format,
    dtype: Type.Optional(dtype),
    hub: Type.Optional(nullable(ToHub)),
    vllm: Type.Optional(nullable(ToVllm)),
  },
  {
    additionalProperties: false,
    title: 'CreateExport',
    examples: [{ model: 'ft:graft-tiny:graft:greeter:AbCd1234', format: 'gguf', dtype: 'q8_0' }],
  },
);
export type CreateExport = Type.Static<typeof CreateExport>;

const seconds = nullable(Type.Integer());

export const ExportObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('model.export'),
    created_at: Type.Integer(),
    started_at: seconds,
    finished_at: seconds,
    expires_at: nullable(Type.Integer({ description: 'When its files are removed; null while a vLLM serves it.' })),
    model: Type.String(),
    fine_tuning_job_id: Type.String({ description: 'The job that made the model.' }),
    format,
    dtype,
    status: literals(exportStatuses),
    progress: nullable(
      Type.Object(
        { bytes: Type.Integer(), total_bytes: Type.Integer() },
        { title: 'ExportProgress', description: 'Of the largest file while it is written; of large files while they are pushed.' },
      ),
    ),
    files: Type.Array(Type.Object({ name: Type.String(), bytes: Type.Integer(), sha256: Type.String() }, { title: 'ExportedFile' }), {
      description: 'Empty until they are made. They stay if a push fails.',
    }),
    warnings: Type.Array(Type.String(), { description: 'Where a reader of the format does something differently.' }),
    proof: nullable(MergeProof),
    hub: nullable(
      Type.Object(
        {
          repo_id: Type.String(),
          private: Type.Boolean(),
          revision: Type.String(),
          commit: nullable(Type.String({ description: 'null until the files are there.' })),
          url: nullable(Type.String()),
        },
        { title: 'ExportOnHub', description: 'Where it is pushed.' },
      ),
    ),
    vllm: nullable(Type.Object({ name: Type.String() }, { title: 'ExportInVllm', description: 'As what vLLM serves it.' })),
    error: nullable(Type.Object({ code: Type.String(), message: Type.String(), param: nullable(Type.String()) }, { title: 'ExportError' })),
  },
  { title: 'Export' },
);

export const ExportEventObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('model.export.event'),
    created_at: Type.Integer(),
    level: literals(eventLevels),
    message: Type.String(),
    type: Type.Literal('message'),
  },
  { title: 'ExportEvent' },
);

export const ExportList = cursorListOf(ExportObject);
export const ExportDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('model.export'), deleted: Type.Boolean() },
  { title: 'ExportDeleted' },
);
export const ExportParams = Type.Object({ export_id: Type.String() });
export const ExportFileParams = Type.Object({ export_id: Type.String(), filename: Type.String() });
export const ExportQuery = Type.Object({ after, limit: limit(DEFAULT_PAGE) });

export const exportView = (one: Export): Type.Static<typeof ExportObject> => ({
  id: one.id,
  object: 'model.export',
  created_at: unixSeconds(one.createdAt),
  started_at: secondsOrNull(one.startedAt),
  finished_at: secondsOrNull(one.finishedAt),
  expires_at: secondsOrNull(one.expiresAt),
  model: one.model,
  fine_tuning_job_id: one.jobId,
  format: one.format,
  dtype: one.dtype,
  status: one.status,
  progress: one.totalBytes === null ? null : { bytes: one.doneBytes ?? 0, total_bytes: one.totalBytes },
  files: one.files ?? [],
  warnings: one.warnings,
  proof: one.proof,
  hub: hubView(one.hub),
  vllm: one.vllmName === null ? null : { name: one.vllmName },
  error: one.error,
});

export const exportEventView = ({ id, createdAt, level, message }: ExportEvent): Type.Static<typeof ExportEventObject> => ({
  id,
  object: 'model.export.event',
  created_at: unixSeconds(createdAt),
  level,
  message,
  type: 'message',
});

function hubView(hub: HubTarget | null): Type.Static<typeof ExportObject>['hub'] {
  if (hub === null) return null;
  const { repoId, isPrivate, branch: revision, commit, url } = hub;
  return { repo_id: repoId, private: isPrivate, revision, commit, url };
}
