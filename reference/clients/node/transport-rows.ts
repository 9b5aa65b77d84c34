/** What the clients do with any answer: errors as classes, retries, timeouts, ids of requests. */
import { expectMatch, expectRefusal } from './matching.ts';
import type { Row } from './setting.ts';

const TRANSPORT = 'any method';
/** Shorter than the `late` fault holds an answer. */
const TIMEOUT_MS = 300;

export const transportRows: Row[] = [
  [
    TRANSPORT,
    'with a wrong key is an AuthenticationError',
    async ({ client, openai }) =>
      expectRefusal(client.withOptions({ apiKey: 'wrong' }).models.list(), openai.AuthenticationError, { status: 401, code: 'invalid_api_key' }),
  ],
  [
    TRANSPORT,
    'that is refused has message, type, param, code and the id of its request',
    async ({ client, openai }) =>
      expectRefusal(client.fineTuning.jobs.list({ limit: -1 }), openai.BadRequestError, {
        status: 400,
        message: String,
        type: 'invalid_request_error',
        param: 'limit',
        code: String,
        requestID: String,
      }),
  ],
  [
    TRANSPORT,
    'of an administrator, with the key of a project, is a PermissionDeniedError',
    async ({ client, openai }) => {
      const { projects } = client.admin.organization;
      const project = await projects.create({ name: 'rows' });
      const { api_key } = await projects.serviceAccounts.create(project.id, { name: 'robot' });
      const theirs = client.withOptions({ adminAPIKey: api_key!.value });
      await expectRefusal(theirs.admin.organization.projects.list(), openai.PermissionDeniedError, { status: 403 });
      await projects.archive(project.id);
    },
  ],
  [
    TRANSPORT,
    'gives the id of its request',
    async ({ client }) => {
      const { data, request_id } = await client.models.retrieve('graft-tiny').withResponse();
      expectMatch(request_id, String);
      expectMatch((data as { _request_id?: string })._request_id, request_id);
    },
  ],
  [TRANSPORT, 'gives its raw response', async ({ client }) => expectMatch((await client.models.list().asResponse()).status, 200)],
  [
    TRANSPORT,
    'reads address and key from OPENAI_BASE_URL and OPENAI_API_KEY',
    async ({ openai }) => expectMatch(await new openai.OpenAI().models.retrieve('graft-tiny'), { id: 'graft-tiny' }),
  ],
  [
    TRANSPORT,
    'whose answer was cut is sent again by itself',
    async ({ through }) => expectMatch(await through('cut', 'get').models.retrieve('graft-tiny'), { id: 'graft-tiny' }),
  ],
  [
    TRANSPORT,
    'that creates a job, and whose answer was cut, makes one job',
    async ({ client, datasetFile, through }) => {
      const training_file = await datasetFile();
      const job = await through('cut', 'create').fineTuning.jobs.create({ model: 'graft-tiny', training_file });
      const { data } = await client.fineTuning.jobs.list({ limit: 100 });
      expectMatch(
        data.filter((made) => made.training_file === training_file).map(({ id }) => id),
        [job.id],
      );
      await client.fineTuning.jobs.cancel(job.id);
    },
  ],
  [
    TRANSPORT,
    'that is answered 503 with retry-after is sent again by itself',
    async ({ through }) => expectMatch(await through('busy', 'get').models.retrieve('graft-tiny'), { id: 'graft-tiny' }),
  ],
  [
    TRANSPORT,
    'that is answered 503, without retries, is an InternalServerError',
    async ({ through, openai }) =>
      expectRefusal(through('busy', 'once', { maxRetries: 0 }).models.list(), openai.InternalServerError, { status: 503 }),
  ],
  [
    TRANSPORT,
    'that is answered too late is an APIConnectionTimeoutError',
    async ({ through, openai }) =>
      expectRefusal(through('late', 'get', { maxRetries: 0, timeout: TIMEOUT_MS }).models.list(), openai.APIConnectionTimeoutError),
  ],
  [
    TRANSPORT,
    'that reaches nobody is an APIConnectionError',
    async ({ client, openai }) =>
      // Port 9 is for discarding what comes; nothing listens there.
      expectRefusal(client.withOptions({ baseURL: 'http://127.0.0.1:9/v1', maxRetries: 0 }).models.list(), openai.APIConnectionError),
  ],
  [
    TRANSPORT,
    'that its caller aborts is an APIUserAbortError',
    async ({ through, openai }) =>
      expectRefusal(through('late', 'abort').models.list({ signal: AbortSignal.timeout(TIMEOUT_MS) }), openai.APIUserAbortError),
  ],
  [
    TRANSPORT,
    'without /v1 in its address is told so',
    async ({ client, openai }) =>
      expectRefusal(client.withOptions({ baseURL: client.baseURL.replace('/v1', '') }).models.list(), openai.NotFoundError, { message: /\/v1/ }),
  ],
];
