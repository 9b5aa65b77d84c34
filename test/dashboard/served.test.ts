import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newJob } from '../jobs/new-job.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

/** All that a browser loads to show any page. */
const MAX_COMPRESSED_BYTES = 200_000;

describe('the dashboard', () => {
  const page = (headers = {}) => service.app.inject({ url: '/', headers });
  const addresses = (body: string) => [...new Set([...body.matchAll(/(?:href|src)="(assets\/[^"]+)"/g)].map(([, address]) => `/${address}`))];

  it('is served without a key, and may load and do nothing but its own', async () => {
    const answer = await page();
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8');
    const policy = String(answer.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(answer.body).not.toMatch(/<script(?! type="importmap"| type="module" src)|<style| on[a-z]+=|style=/);
  });

  it('with everything that it loads has less than 200 kB compressed', async () => {
    const { body } = await page();
    const files = addresses(body);
    expect(files.length).toBeGreaterThan(40);
    const headers = { 'accept-encoding': 'gzip, br' };
    const answers = await Promise.all(files.map((url) => service.app.inject({ url, headers })));
    for (const [index, answer] of answers.entries()) {
      expect(answer.statusCode, files[index]).toBe(200);
      expect(answer.headers, files[index]).toMatchObject({ 'content-encoding': 'br', 'cache-control': 'public, max-age=31536000, immutable' });
    }
    const sizes = [...answers, await page(headers)].map(({ rawPayload }) => rawPayload.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_COMPRESSED_BYTES);
  });

  it('imports nothing that is not served', async () => {
    const { body } = await page();
    const served = addresses(body);
    const { imports } = JSON.parse(/<script type="importmap">(.*?)<\/script>/.exec(body)![1]!) as { imports: Record<string, string> };
    for (const url of served.filter((name) => name.endsWith('.js'))) {
      const { body: source } = await service.app.inject(url);
      for (const [, name] of source.matchAll(/(?:^|;|\n|})\s*(?:import|export)[^'"();]*?\bfrom\s*["']([^"']+)["']/g)) {
        const address = new URL(imports[name!] ?? name!, `http://here${imports[name!] === undefined ? url : '/'}`).pathname;
        expect(served, `${url} imports ${name}`).toContain(address);
      }
    }
  });

  it('is the same in every encoding, and is not sent again while it is the same', async () => {
    const plain = await page();
    const br = await page({ 'accept-encoding': 'br;q=1.0, gzip' });
    const gzip = await page({ 'accept-encoding': 'gzip' });
    expect(brotliDecompressSync(br.rawPayload).toString()).toBe(plain.body);
    expect(gunzipSync(gzip.rawPayload).toString()).toBe(plain.body);
    expect((await page({ 'if-none-match': plain.headers.etag })).statusCode).toBe(304);
  });

  it('of another version › is not there, and the answer says to load the page again', async () => {
    const answer = await service.app.inject('/assets/0123456789abcdef/main.js');
    expect(refusal(answer)).toMatchObject({ status: 404, message: expect.stringContaining('Load the page') });
  });
});

describe('the metrics of a job', () => {
  const SHOWN = { epochs: 1, total: 400 };
  let id: string;
  beforeAll(async () => {
    const { jobs, jobRecord, database } = service.services;
    const { job } = await jobs.create('graft', newJob());
    id = job.id;
    await database.job.update({ where: { id }, data: { totalSteps: SHOWN.total } });
    const attempt = (await jobs.claim(id, 'worker-test'))!;
    const step = (number: number) => ({
      step: number,
      metrics: { train_loss: 1 / number, seconds: 0.1, ...(number === 57 && { valid_loss: 2 }), ...(number === 61 && { eval_exact: 1 }) },
    });
    await jobRecord.addMetrics(
      attempt,
      Array.from({ length: 203 }, (_, index) => step(index + 1)),
    );
  });
  const metrics = async (query = '', job = id) => service.inject({ url: `/v1/fine_tuning/jobs/${job}/metrics${query}` });
  const stepsIn = async (query: string) => (await metrics(query)).json().data.map(({ step }: { step: number }) => step);

  it('come in order with all their names, as many as asked for', async () => {
    const first = await metrics('?limit=2');
    expect(first.json()).toEqual({
      object: 'list',
      data: [1, 2].map((step) => ({ object: 'fine_tuning.job.metrics', step, metrics: { train_loss: 1 / step, seconds: 0.1 } })),
      has_more: true,
    });
    expect(await stepsIn('?after_step=200')).toEqual([201, 202, 203]);
  });

  it('thinned out › keep the first, the newest and every evaluation', async () => {
    expect(await stepsIn('?points=4')).toEqual([1, 57, 61, 100, 200, 203]);
  });

  it('of a job that nobody has are not found', async () => {
    expect(refusal(await metrics('', 'ftjob-none'))).toMatchObject({ status: 404, code: 'fine_tune_not_found' });
  });

  it('are of a worker that is listed with the job', async () => {
    const { data } = (await service.inject({ url: '/v1/workers' })).json();
    expect(data).toEqual([
      {
        id: 'worker-test',
        object: 'worker',
        hostname: 'here',
        device: 'CPU',
        memory_bytes: null,
        started_at: expect.any(Number),
        last_seen_at: expect.any(Number),
        models: ['graft-tiny'],
        running_jobs: 1,
        jobs: [id],
      },
    ]);
  });
});
