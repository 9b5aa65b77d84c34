/** Schemathesis: requests made from the document, right and wrong ones, alone and in sequences, each answer compared with what the document says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pythonTool } from '../../reference/python/tool.ts';

export interface Tested {
  url: string;
  apiKey: string;
  /** A folder for what the tester writes. */
  folder: string;
}

/** The same requests each time. */
const SEED = 1;
/** Random requests to each operation, beside those that cover each keyword of its schemas. */
const EXAMPLES = 8;
/** The service answers at once, except where it streams. */
const ANSWER_WITHIN_SECONDS = 10;
/** What is not checked: a request that fits its schema may still be refused, say for a model that does not exist. */
const NOT_CHECKED = 'positive_data_acceptance';

/** How a wrong request may be answered: also for its length alone. */
const REFUSALS = ['400', '401', '403', '404', '405', '408', '409', '413', '414', '415', '422', '429', '431'];

/** Every operation, with ids that the tester makes up or has been given in answers. */
export const testEveryOperation = (tested: Tested): Promise<boolean> =>
  run(tested, 'every operation', {}, ['--phases', 'examples,coverage,fuzzing,stateful']);

/** Every operation that only reads, with the ids of what exists: so that full answers are compared with their schemas, too. */
export const testReading = (tested: Tested, parameters: Record<string, string>): Promise<boolean> =>
  run(tested, 'reading what exists', parameters, ['--include-method', 'GET', '--mode', 'positive', '--phases', 'examples,coverage']);

async function run({ url, apiKey, folder }: Tested, what: string, parameters: Record<string, string>, more: string[]): Promise<boolean> {
  const config = join(folder, 'schemathesis.toml');
  const lines = Object.entries(parameters).map(([name, value]) => `${JSON.stringify(`path.${name}`)} = ${JSON.stringify(value)}`);
  await writeFile(config, `[checks.negative_data_rejection]\nexpected-statuses = ${JSON.stringify(REFUSALS)}\n[parameters]\n${lines.join('\n')}\n`);
  const python = await pythonTool('schemathesis');
  console.log(`\nschemathesis, ${what}:`);
  const started = performance.now();
  const child = spawn(
    python,
    [
      ...['-m', 'schemathesis.cli', '--config-file', config, '--no-color', 'run', `${url}/docs/json`, '--header', `Authorization: Bearer ${apiKey}`],
      ...['--checks', 'all', '--exclude-checks', NOT_CHECKED, '--seed', String(SEED), '--max-examples', String(EXAMPLES)],
      // Slow machines are no finding.
      ...['--suppress-health-check', 'all', '--request-timeout', String(ANSWER_WITHIN_SECONDS), '--workers', '2', '--continue-on-failure', ...more],
    ],
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const [code] = (await once(child, 'exit')) as [number | null];
  console.log(`schemathesis, ${what}: ${code === 0 ? 'as documented' : 'NOT as documented'}, ${Math.round((performance.now() - started) / 1000)} s`);
  return code === 0;
}
