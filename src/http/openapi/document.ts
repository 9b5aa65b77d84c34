/**
 * The OpenAPI document that /docs/json serves. Routes say what is theirs; this adds what all of them share, so that a route needs only:
 *
 * - `tags` (one of TAGS), `summary`, an `operationId` (OpenAI's own where it has one), and in `response` the 200. `addErrorAnswers` adds 4xx and 5xx;
 * - a `title` in CamelCase for each object worth a name: it becomes a component, and a type in generated clients. One title, one shape;
 * - unions of literals for what has few values, or `oneOf` in answers: they become enums;
 * - `binary(…)` as the 200 of a download, `orEventStream(…)` as that of a list that can be followed;
 * - `config: { multipart: Schema }` for a multipart body, with `filePart` for its file;
 * - `examples` in the schema of a body: a test posts each of them.
 */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { enumOfLiterals } from './enum-of-literals.ts';
import { describeMultipart } from './multipart.ts';
import { nameComponents } from './named-components.ts';
import { describeParameters } from './parameters.ts';
import { type JsonObject, rewrite } from './rewrite.ts';
import { addSharedAnswers } from './shared-answers.ts';

const TAGS = {
  Files: 'Datasets, and the files that jobs make.',
  Uploads: 'Large files, in parts.',
  'Fine-tuning': 'Jobs, their events and their checkpoints.',
  Adapters: 'Downloads of what training produced, as PEFT and transformers load it.',
  Exports: 'Tuned models in the formats of other programs: merged, GGUF, MLX.',
  Reports: "What is known of a job's data, of its delivered files and of its interruptions.",
  Webhooks: 'Who is told that a job has ended, and what was sent.',
  Graders: 'What judges a sample, tried out.',
  Generation: 'Answers of base models and tuned models.',
  Models: 'Base models and tuned models.',
  Workers: 'The processes that train, and the machines that they are on.',
  Projects: 'Projects of an organization, and what each may use. For its administrators.',
  'API keys': 'Keys of projects and of the organization. For administrators.',
  'Service accounts': 'Programs that have keys of their own. For administrators.',
  'Audit log': 'What was changed, and by whom. For administrators.',
  Health: 'For whoever runs the service. These need no key.',
};

const KEY_DESCRIPTION = '`Authorization: Bearer KEY`. Where `OpenAI-Organization` or `OpenAI-Project` is sent as well, it must be that of the key.';

export const documentOptions: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Graft',
      version: '0.1.0',
      description:
        "OpenAI's fine-tuning API on your own machines: its official clients work unchanged. The API key is in ROOT_API_KEY or in the file DATA_DIR/api-key.",
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/', description: 'This service' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: KEY_DESCRIPTION } } },
    security: [{ key: [] }],
  },
  transform: describeMultipart,
  transformObject: (made) => {
    if (!('openapiObject' in made)) throw new Error('The document is in the form of Swagger 2');
    return completed(made.openapiObject as unknown as JsonObject) as never;
  },
};

function completed(document: JsonObject): JsonObject {
  return addSharedAnswers(nameComponents(describeParameters(rewrite(document, enumOfLiterals) as JsonObject)));
}
