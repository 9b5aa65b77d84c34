/** Requests to the whole service: every answer is below 500. */
import type { Random } from '../../random.ts';
import { type RunningService, runService } from '../../running-service.ts';
import { mutateJson, mutateText, randomText } from '../mutate.ts';
import type { Target } from '../target.ts';

class ServerError extends Error {
  override readonly name = 'ServerError';
}

function requests(
  name: string,
  make: (random: Random, service: { file: string }) => string,
  send: (input: string, service: RunningService, file: string) => ReturnType<RunningService['inject']>,
): Target {
  return {
    name,
    async open() {
      const service = await runService();
      const file = await service.upload();
      return {
        make: (random) => make(random, { file }),
        async read(input) {
          const { statusCode, body } = await send(String(input), service, file);
          if (statusCode >= 500) throw new ServerError(`${statusCode}: ${body.slice(0, 300)}`);
          if (statusCode >= 400) throw new Refused(String(statusCode));
        },
        isRefusal: (error) => error instanceof Refused,
        close: () => service.close(),
      };
    },
  };
}

class Refused extends Error {}

const jobBody = (file: string) => ({
  model: 'graft-tiny',
  training_file: file,
  validation_file: 'file-none',
  suffix: 'mine',
  seed: 1,
  method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 1 }, chat_template: '{{ messages }}', chat_template_kwargs: { a: 1 } } },
  tuning: { type: 'lora', r: 8, alpha: 16, target_modules: ['q_proj'], lora_dropout: 0.1 },
  metadata: { a: 'b' },
  integrations: null,
});

const BOUNDARY = 'graft-fuzz';
const multipartBody = [
  `--${BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n`,
  `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\ncontent-type: text/plain\r\n\r\n{"prompt":"a","completion":"b"}\n\r\n`,
  `--${BOUNDARY}--\r\n`,
].join('');

const RANGES = ['bytes=0-3', 'bytes=-5', 'bytes=5-', 'bytes=0-0,2-3', 'bytes=9-1', 'items=0-1'];

/** What HTTP allows in a header's value. */
const asHeader = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 4_000);

export const httpTargets: readonly Target[] = [
  requests(
    'job bodies',
    (random, { file }) => mutateJson(jobBody(file), random),
    (input, service) =>
      service.inject({ method: 'POST', url: '/v1/fine_tuning/jobs', headers: { 'content-type': 'application/json' }, payload: input }),
  ),
  requests(
    'multipart uploads',
    (random) => mutateText(multipartBody, random),
    (input, service) =>
      service.inject({
        method: 'POST',
        url: '/v1/files',
        headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
        payload: input,
      }),
  ),
  requests(
    'Range headers',
    (random) => (random.below(4) === 0 ? randomText(random) : mutateText(random.pick(RANGES), random, RANGES)),
    (input, service, file) => service.inject({ url: `/v1/files/${file}/content`, headers: { range: asHeader(input) } }),
  ),
];
