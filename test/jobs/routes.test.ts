import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
let tagged: string;
let plain: string;
beforeAll(async () => {
  service = await runService();
  const training_file = await service.upload();
  const create = async (fields: object) => (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, ...fields })).json().id;
  tagged = await create({ metadata: { team: 'a' } });
  plain = await create({});
});
afterAll(() => service.close());

const get = (path: string, headers: Record<string, string> = {}) => service.inject({ url: `/v1/fine_tuning/jobs${path}`, headers });

describe('the list of jobs', () => {
  const ids = async (query: string) => (await get(query)).json().data.map(({ id }: { id: string }) => id);

  it('is filtered by pairs, or to jobs without metadata', async () => {
    expect(await ids('?metadata[team]=a')).toEqual([tagged]);
    expect(await ids('?metadata[team]=b')).toEqual([]);
    for (const none of ['?metadata=', '?metadata=null']) expect(await ids(none)).toEqual([plain]);
  });

  it('with a filter that names no key › is refused, with the form to use', async () => {
    expect(refusal(await get('?metadata=foo'))).toMatchObject({
      status: 400,
      param: 'metadata',
      message: expect.stringContaining('metadata[key]=value'),
    });
  });

  it.each([
    ['a value', `?metadata[team]=${'a'.repeat(513)}`],
    ['a key', `?metadata[${'a'.repeat(65)}]=a`],
    ['pairs', `?${Array.from({ length: 17 }, (_, index) => `metadata[key${index}]=a`).join('&')}`],
  ])('with more in %s than a job may have › is refused', async (_, query) => {
    expect(refusal(await get(query))).toMatchObject({ status: 400, param: expect.stringMatching(/^metadata/) });
  });
});

describe('the stream of events', () => {
  const messagesAfter = async (query: string, headers = {}) =>
    [...(await get(`/${plain}/events?stream=true${query}`, headers)).body.matchAll(/"message":"([^"]*)"/g)].map(([, message]) => message);
  let first: string;
  beforeAll(async () => {
    first = (await get(`/${plain}/events`)).json().data.at(-1).id;
    await service.post(`/v1/fine_tuning/jobs/${plain}/cancel`, {}); // so that streams end
  });

  it('begins after the given event', async () => {
    const rest = [expect.stringMatching(/^Validating/), 'The job has been cancelled'];
    expect(await messagesAfter(`&after=${first}`)).toEqual(rest);
    expect(await messagesAfter('', { 'last-event-id': first })).toEqual(rest);
    expect(await messagesAfter('')).toHaveLength(3);
  });

  it('after an event that the job does not have › is refused instead of beginning again', async () => {
    const ofAnother = (await get(`/${tagged}/events`)).json().data[0].id;
    for (const unknown of ['ftevent-none', ofAnother]) {
      expect(refusal(await get(`/${plain}/events?stream=true&after=${unknown}`))).toMatchObject({ status: 400, param: 'after' });
      expect(refusal(await get(`/${plain}/events?stream=true`, { 'last-event-id': unknown }))).toMatchObject({ status: 400, param: 'last-event-id' });
    }
  });
});

describe('a job that waits', () => {
  it('shows its place among those of its project, by priority and then by age', async () => {
    const training_file = await service.upload();
    const make = async (priority: number) => (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, priority })).json().id;
    const [first, second, urgent] = [await make(1), await make(1), await make(2)];
    const position = async (id: string) => (await get(`/${id}`)).json().queue_position;
    expect([await position(urgent), await position(first), await position(second), await position(tagged)]).toEqual([1, 2, 3, 4]);
    await service.post(`/v1/fine_tuning/jobs/${urgent}/cancel`, {});
    expect([await position(urgent), await position(first)]).toEqual([null, 1]);
  });
});

describe('a suffix', () => {
  it.each(['v1.0', 'Prüfung', '学習', 'two words', 'a_b-c', 'x'.repeat(64)])('%s › is shown on the job', async (suffix) => {
    const training_file = await service.upload();
    expect((await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, suffix })).json().suffix).toBe(suffix);
  });
});
