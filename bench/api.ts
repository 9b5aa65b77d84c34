/**
 * `npm run bench:api -- [--rounds 5] [--scale 1] [--jobs 100000] [--only TEXT] [--write]`: measures requests of the API beside a bare Fastify and pg that do
 * equal work (bench/api/floor.ts), as ratios: fixed numbers of requests, the two in turns. Prints a table and one JSON line.
 */
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { FormData } from 'undici';
import { CONNECTIONS, KEY, type Side, seedJobs, startSides } from './api/sides.ts';
import { measureStreams } from './api/streams.ts';
import { median } from './measures.ts';
import { publishResult, table, thisMachine } from './results-page.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    scale: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '100000' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const ROUNDS = Number(options.rounds);
const headers = { authorization: `Bearer ${KEY}` };
const times = (count: number) => Math.ceil(count * Number(options.scale));

interface Measure {
  name: string;
  requests: number;
  /** Work of one request; throws if it is refused. */
  request(side: Side): Promise<unknown>;
  /** Whether both sides answer the same. */
  isRead?: boolean;
}

const sides = await startSides();
const { services, service, floor } = sides;

async function call({ pool }: Side, path: string, init: { method?: 'POST'; body?: string | FormData; json?: boolean } = {}): Promise<unknown> {
  const response = await pool.request({
    path,
    method: init.method ?? 'GET',
    headers: { ...headers, ...(init.json && { 'content-type': 'application/json' }) },
    ...(init.body !== undefined && { body: init.body }),
  });
  const text = await response.body.text();
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode} ${text}`);
  return JSON.parse(text);
}

/** A line of a thousand bytes; a hundred million bytes of them. */
const LINE = `{"prompt":"${'a'.repeat(969)}","completion":"b"}\n`;
const upload = Buffer.from(LINE.repeat(100_000));
function uploadForm(bytes: number): FormData {
  const form = new FormData();
  form.append('purpose', 'fine-tune');
  form.append('file', new File([upload.subarray(0, bytes)], 'train.jsonl'));
  return form;
}

async function run({ requests, request }: Measure, side: Side): Promise<number> {
  let left = requests;
  const startedMs = performance.now();
  const worker = async () => {
    while (left-- > 0) await request(side);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return (performance.now() - startedMs) / requests;
}

try {
  const middle = await seedJobs(services, Number(options.jobs));
  const file = (await call(service, '/v1/files', { method: 'POST', body: uploadForm(5_000) })) as { id: string };
  const creation = JSON.stringify({ model: 'graft-tiny', training_file: file.id });
  const all: Measure[] = [
    { name: 'retrieve a job', requests: times(4_000), isRead: true, request: (side) => call(side, `/v1/fine_tuning/jobs/${middle}`) },
    { name: 'list 20 jobs', requests: times(1_500), isRead: true, request: (side) => call(side, '/v1/fine_tuning/jobs?limit=20') },
    {
      name: 'list 20 jobs of a team',
      requests: times(500),
      isRead: true,
      request: (side) => call(side, '/v1/fine_tuning/jobs?limit=20&metadata[team]=team-3'),
    },
    {
      name: 'create a job',
      requests: times(500),
      request: (side) => call(side, '/v1/fine_tuning/jobs', { method: 'POST', body: creation, json: true }),
    },
    { name: 'upload 100 MB', requests: times(1), request: (side) => call(side, '/v1/files', { method: 'POST', body: uploadForm(upload.length) }) },
  ];
  const measures = all.filter(({ name }) => name.includes(options.only));

  const results: { name: string; floorMs: number; serviceMs: number; ratio: number }[] = [];
  for (const measure of measures) {
    if (measure.isRead && !isDeepStrictEqual(await measure.request(service), await measure.request(floor)))
      throw new Error(`the floor does not answer the same: ${measure.name}`);
    const floorMs: number[] = [];
    const serviceMs: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const [first, second] = [await run(measure, floor), await run(measure, service)];
      if (round === 0) continue; // warms the compilers
      floorMs.push(first);
      serviceMs.push(second);
    }
    // Each round's own, so that what else the machine does weighs on both sides of it.
    const ratio = median(floorMs.map((ms, round) => ms / serviceMs[round]!));
    results.push({ name: measure.name, floorMs: median(floorMs), serviceMs: median(serviceMs), ratio });
    console.error(measure.name, ratio.toFixed(2));
  }
  const memory = 'upload 100 MB'.includes(options.only) ? await uploadMemory() : null;
  const streams = '500 streams'.includes(options.only) ? await measureStreams(sides, { headers, events: times(40) }) : null;

  const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
  const printed = [
    table(
      ['request', 'bare Fastify and pg', 'Graft', 'of the floor'],
      [
        ...results.map(({ name, floorMs, serviceMs, ratio }) => [name, ms(floorMs), ms(serviceMs), ratio.toFixed(2)]),
        ...(streams === null
          ? []
          : [['an event to the last of 500 streams', ms(streams.floorMs), ms(streams.serviceMs), (streams.floorMs / streams.serviceMs).toFixed(2)]]),
      ],
    ),
    ...(streams === null
      ? []
      : [`While 500 streams of one job are open, retrieving a job takes ${streams.slowdown.toFixed(2)} times as long as without them.`]),
    ...(memory === null
      ? []
      : [
          `While 10 MB are uploaded, the process takes ${memory.ofSmallMb.toFixed(0)} MB more than before; while 100 MB are, ${memory.ofLargeMb.toFixed(0)} MB.`,
        ]),
    `${Number(options.jobs).toLocaleString('en')} jobs in the table, ${CONNECTIONS} requests at once; medians of ${ROUNDS} rounds, on ${thisMachine()}.`,
  ].join('\n\n');
  publishResult('api', printed);
  console.log(JSON.stringify({ bench: 'api', jobs: Number(options.jobs), results, memory, streams }));
} finally {
  await sides.close();
}

/** How much more memory the service takes at most while one file is uploaded than just before. */
async function uploadMemory(): Promise<{ ofSmallMb: number; ofLargeMb: number }> {
  const peak = async (bytes: number) => {
    const before = service.memoryMb();
    let most = before;
    const looking = setInterval(() => {
      most = Math.max(most, service.memoryMb());
    }, 5);
    await call(service, '/v1/files', { method: 'POST', body: uploadForm(bytes) });
    clearInterval(looking);
    return most - before;
  };
  const [small, large] = [[] as number[], [] as number[]];
  for (let round = 0; round < ROUNDS; round++) {
    small.push(await peak(10_000_000));
    large.push(await peak(100_000_000));
  }
  return { ofSmallMb: median(small), ofLargeMb: median(large) };
}
