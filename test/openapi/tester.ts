/** Schemathesis: requests made from the document, right and wrong ones, alone and in sequences, each answer compared with what the document says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pythonTool } from '../../reference/python/tool.ts';

export interface Tested {
  url: string;
  apiKey: string;
  /** A folder for what is made on the way. */
  folder: string;
}

/** The same requests each time. */
const SEED = 1;
/** Random requests to each operation, beside those that cover each keyword of its schemas. */
const EXAMPLES = 8;
/** Answers come at once, except where an operation streams until a job ends. */
const ANSWER_WITHIN_SECONDS = 20;
/** What is not checked: a request that fits its schema may still be refused, say for a model that does not exist. */
const NOT_CHECKED = 'positive_data_acceptance';
/** How a wrong request may be answered: also for its length alone. */
const REFUSALS = ['400', '401', '403', '404', '405', '408', '409', '413', '414', '415', '422', '429', '431'];

/** Every operation that only reads, with the ids of what exists: so that full answers, too, are compared with their schemas. */
export const testReading = (tested: Tested, parameters: Record<string, string>): Promise<boolean> =>
  run(tested, {
    name: 'reading what exists',
    parameters,
    options: ['--include-method', 'GET', '--mode', 'positive', '--phases', 'examples,coverage'],
  });

/** Every operation: each keyword of each schema kept and broken, each method that is not there, no key. */
export const testEachKeyword = (tested: Tested): Promise<boolean> =>
  run(tested, { name: 'each keyword of each schema', options: ['--phases', 'examples,coverage'] });

/** Every operation, with random requests, and in sequences that use what earlier answers named. */
export const testAtRandom = (tested: Tested): Promise<boolean> =>
  run(tested, { name: 'requests and sequences at random', options: ['--phases', 'fuzzing,stateful'] });

interface Run {
  name: string;
  /** Values of path parameters that are always used. */
  parameters?: Record<string, string>;
  options: string[];
}

/** @returns whether everything was as documented; if not, prints what was not */
async function run({ url, apiKey, folder }: Tested, { name, parameters = {}, options }: Run): Promise<boolean> {
  const python = await pythonTool('schemathesis');
  const cwd = join(folder, name);
  await mkdir(cwd);
  const values = Object.entries(parameters).map(([parameter, value]) => `${JSON.stringify(`path.${parameter}`)} = ${JSON.stringify(value)}`);
  await writeFile(
    join(cwd, 'schemathesis.toml'),
    ['[checks.negative_data_rejection]', `expected-statuses = ${JSON.stringify(REFUSALS)}`, '[parameters]', ...values, ''].join('\n'),
  );
  const startedMs = performance.now();
  const output = await open(join(cwd, 'output'), 'w');
  const child = spawn(
    python,
    [
      ...['-m', 'schemathesis.cli', '--config-file', 'schemathesis.toml', '--no-color', 'run', `${url}/docs/json`],
      ...['--header', `Authorization: Bearer ${apiKey}`, '--checks', 'all', '--exclude-checks', NOT_CHECKED],
      // One thread: Python 3.11 can fail where several parse source code at once, which Hypothesis does.
      ...['--seed', String(SEED), '--max-examples', String(EXAMPLES), '--workers', '1', '--continue-on-failure'],
      // A slow machine is no finding.
      ...['--suppress-health-check', 'all', '--request-timeout', String(ANSWER_WITHIN_SECONDS), ...options],
    ],
    { cwd, stdio: ['ignore', output.fd, output.fd] },
  );
  const [code] = (await once(child, 'exit')) as [number | null];
  await output.close();
  const said = await readFile(join(cwd, 'output'), 'utf8');
  if (code !== 0) console.log(said);
  const requests = /(\d+) generated/.exec(said)?.[1] ?? 'no';
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  console.log(`schemathesis, ${name}: ${requests} requests in ${seconds} s, ${code === 0 ? 'all' : 'NOT all'} answered as documented`);
  return code === 0;
}
