import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveMetrics } from '../../workers/monitoring/metrics-server.ts';
import { openWorkerInstruments } from '../../workers/monitoring/worker-instruments.ts';
import { newJob } from '../jobs/new-job.ts';
import { API_KEY, type RunningService, runService } from '../running-service.ts';
import { promtool } from './promtool.ts';

const DOCS = join(import.meta.dirname, '../../docs/monitoring');
const OWNER = 'graft';
const METRICS_KEY = 'a-key-for-prometheus';

let service: RunningService;
beforeAll(async () => {
  service = await runService({ METRICS_KEY });
});
afterAll(() => service?.close());

const scrape = async (url = `${service.address}/metrics`, key: string | null = METRICS_KEY, headers: Record<string, string> = {}) =>
  fetch(url, { headers: { ...(key !== null && { authorization: `Bearer ${key}` }), ...headers } });

/** The value of one series, as it is written. */
function seriesOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe('/metrics', () => {
  it('of the API › counts the jobs of every project, and shows the newest loss and speed of those that run', async () => {
    const { jobs, jobRecord, projects } = service.services;
    const { id: project } = await projects.create(OWNER, { name: 'another' });
    await jobs.create(OWNER, newJob({}), []);
    const losses: [string, number][] = [
      [OWNER, 2],
      [project, 4],
    ];
    for (const [owner, loss] of losses) {
      const { job } = await jobs.create(owner, newJob({}), []);
      const claimed = (await jobs.claim(job.id, 'worker-test'))!;
      await jobs.begin(claimed, { read: { patch: { totalSteps: 9 } }, start: {} });
      await jobRecord.addMetrics(claimed, [
        { step: 1, metrics: { train_loss: 9, tokens: 100, seconds: 1 } },
        { step: 2, metrics: { train_loss: loss, tokens: 100, seconds: 0.5 } },
      ]);
    }
    const text = await (await scrape()).text();
    expect(seriesOf(text, 'graft_jobs{status="running"}')).toBe(2);
    expect(seriesOf(text, 'graft_jobs{status="validating_files"}')).toBe(1);
    expect(seriesOf(text, 'graft_jobs_waiting{reason="slot"}')).toBe(1);
    expect(seriesOf(text, 'graft_jobs_waiting_oldest_seconds{reason="slot"}')).toBeGreaterThan(0);
    expect(seriesOf(text, 'graft_running_jobs_train_loss{aggregate="mean"}')).toBe(3);
    expect(seriesOf(text, 'graft_running_jobs_train_loss{aggregate="max"}')).toBe(4);
    expect(seriesOf(text, 'graft_running_jobs_tokens_per_second')).toBe(400);
    expect(seriesOf(text, 'graft_trained_tokens_total')).toBe(400);
    expect(seriesOf(text, 'graft_workers{state="alive"}')).toBe(1);
    expect(seriesOf(text, 'graft_workers{state="busy"}')).toBe(1);
    expect(seriesOf(text, 'graft_component_up{component="redis"}')).toBe(1);
    expect(text).not.toContain('ftjob-');
  });

  it('counts requests by their route, whatever the address', async () => {
    await service.inject({ url: '/v1/fine_tuning/jobs/ftjob-one' });
    await service.inject({ url: '/v1/fine_tuning/jobs/ftjob-two' });
    await service.inject({ url: '/nowhere/at/all' });
    const text = await (await scrape()).text();
    const labels = (route: string) => `method="GET",route="${route}"`;
    expect(seriesOf(text, `graft_http_requests_total{${labels('/v1/fine_tuning/jobs/:job_id')},status="404"}`)).toBe(2);
    expect(seriesOf(text, `graft_http_request_duration_seconds_count{${labels('/v1/fine_tuning/jobs/:job_id')}}`)).toBe(2);
    expect(seriesOf(text, `graft_http_requests_total{${labels('none')},status="404"}`)).toBe(1);
  });

  it('with METRICS_KEY › opens to it and to the root key, and to nobody else', async () => {
    const answers = await Promise.all([scrape(), scrape(undefined, API_KEY), scrape(undefined, null), scrape(undefined, 'wrong')]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 401, 401]);
  });

  it('of a worker › has numbers of its own, under the same key', async () => {
    const { instruments } = service.services;
    openWorkerInstruments(instruments);
    const server = (await serveMetrics(service.services, 0))!;
    try {
      const url = `http://127.0.0.1:${server.port}/metrics`;
      expect((await scrape(url, null)).status).toBe(401);
      const text = await (await scrape(url)).text();
      expect(seriesOf(text, 'graft_worker_jobs_training')).toBe(0);
    } finally {
      server.close();
    }
  });
});

describe('/metrics without METRICS_KEY', () => {
  let open: RunningService;
  beforeAll(async () => {
    open = await runService();
  });
  afterAll(() => open?.close());

  it('opens to whoever asks on the machine, but not through a proxy or under the name of another site', async () => {
    const ask = async (headers: Record<string, string> = {}) => (await open.app.inject({ url: '/metrics', headers })).statusCode;
    expect((await scrape(`${open.address}/metrics`, null)).status).toBe(200);
    expect(await ask({ host: '127.0.0.1:3000' })).toBe(200);
    expect(await ask({ host: '127.0.0.1:3000', 'x-forwarded-for': '203.0.113.1' })).toBe(401);
    expect(await ask({ host: 'graft.example.com' })).toBe(401);
    expect(await ask({ host: 'graft.example.com', authorization: `Bearer ${API_KEY}` })).toBe(200);
  });
});

describe('docs/monitoring', () => {
  it('names only metrics that exist', async () => {
    const { instruments } = service.services;
    instruments.watchProcess();
    const { registry } = instruments;
    const text = await (await scrape()).text();
    const shown = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!));
    for (const { name } of registry.getMetricsAsArray()) shown.add(name);
    for (const file of ['grafana.json', 'alerts.yml', '../monitoring.md']) {
      const named = (await readFile(join(DOCS, file), 'utf8')).match(/\b(graft|process|nodejs)_[a-z0-9]+_[a-z0-9_]+/g) ?? [];
      const unknown = named.filter((name) => !shown.has(name) && !shown.has(name.replace(/_(bucket|count|sum)$/, '')));
      expect({ file, unknown, found: named.length > 5 }).toEqual({ file, unknown: [], found: true });
    }
  });

  it('has alerts that fire when they should, says promtool', async (context) => {
    const program = promtool();
    if (program === null) return context.skip('promtool is not installed');
    const run = (...args: string[]) => execFileSync(program, args, { cwd: DOCS, encoding: 'utf8' });
    expect(run('check', 'config', 'prometheus.yml')).toMatch(/SUCCESS/);
    expect(run('test', 'rules', 'alerts.test.yml')).toMatch(/SUCCESS/);
  });

  it('has metrics that promtool finds well named and documented', async (context) => {
    const program = promtool();
    if (program === null) return context.skip('promtool is not installed');
    const lines = (await (await scrape()).text()).split('\n');
    // The names of prom-client's own metrics are not ours to choose.
    const input = `${lines.filter((line) => /^(# (TYPE|HELP) )?graft_/.test(line)).join('\n')}\n`;
    expect(execFileSync(program, ['check', 'metrics'], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] })).toBe('');
  });
});
