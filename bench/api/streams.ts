/** Many streams of one job's events, on each side: how long an event takes to the last of them, and what they cost other requests. */
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { median } from '../measures.ts';
import { makeJob, type Side, type Sides } from './sides.ts';

const STREAMS = 500;
const GETS = 300;

interface StreamsOptions {
  headers: Record<string, string>;
  events: number;
}

export interface StreamsResult {
  /** From the commit of an event to when the last of the streams has it. */
  floorMs: number;
  serviceMs: number;
  /** How much longer a GET of the service takes while the streams are open. */
  slowdown: number;
}

export async function measureStreams({ services, service, floor }: Sides, { headers, events }: StreamsOptions): Promise<StreamsResult> {
  const id = await makeJob(services);
  const getMs = async () => {
    const startedMs = performance.now();
    for (let got = 0; got < GETS; got++) {
      const { body } = await service.pool.request({ path: `/v1/fine_tuning/jobs/${id}`, method: 'GET', headers });
      await body.text();
    }
    return (performance.now() - startedMs) / GETS;
  };
  await getMs();
  const alone = await getMs();
  let beside = Number.NaN;
  const result: Record<'floor' | 'service', number> = { floor: 0, service: 0 };
  for (const [name, side] of [
    ['floor', floor],
    ['service', service],
  ] as const) {
    const { received, close } = await openStreams(side, `/v1/fine_tuning/jobs/${id}/events?stream=true`, headers);
    const times: number[] = [];
    for (let event = 0; event < events; event++) {
      const message = `event ${name} ${event} `;
      const all = received(message);
      await services.jobRecord.appendEvent(id, { level: 'info', message });
      const committedMs = performance.now();
      await all;
      times.push(performance.now() - committedMs);
    }
    if (name === 'service') beside = await getMs();
    result[name] = median(times);
    close();
  }
  return { floorMs: result.floor, serviceMs: result.service, slowdown: beside / alone };
}

/** @returns `received` resolves when every stream has had the text */
async function openStreams(side: Side, path: string, headers: Record<string, string>) {
  const requests: ClientRequest[] = [];
  const waiting = new Set<(text: string) => void>();
  for (let opened = 0; opened < STREAMS; opened++) {
    const request = get(`${side.address}${path}`, { headers, agent: false });
    request.on('error', () => {}); // when it is closed
    requests.push(request);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.setEncoding('utf8');
    response.on('error', () => {});
    response.on('data', (text: string) => {
      for (const hear of waiting) hear(text);
    });
  }
  return {
    received(message: string): Promise<void> {
      let left = STREAMS;
      return new Promise((resolve) => {
        const hear = (text: string) => {
          if (!text.includes(message) || --left > 0) return;
          waiting.delete(hear);
          resolve();
        };
        waiting.add(hear);
      });
    },
    close() {
      for (const request of requests) request.destroy();
    },
  };
}
