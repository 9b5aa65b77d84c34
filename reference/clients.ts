/**
 * `npm run test:clients -- [--write]`: starts the service with a worker, and runs OpenAI's clients against it: the openai package of npm in its versions 6 and
 * 7, and that of PyPI, through every method that they have on files, uploads, fine-tuning, models, webhooks and organizations. It fails when a row of the
 * table fails, and when a client has a method without a row. It also does what README.md and docs/from-openai.md tell new users to do. --write puts the
 * table into docs/conformance.md.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWriting } from '../bench/results-page.ts';
import { endOfLog, startService, stopService, untilReady } from '../scripts/demo/child.ts';
import { type Conformance, conformanceOf } from './clients/conformance.ts';
import { faultyProxy } from './clients/faulty-proxy.ts';
import { followPages } from './clients/pages.ts';
import { runClient } from './clients/run-client.ts';
import { newestNode } from './newest-node.ts';
import { pythonTool } from './python/tool.ts';

const ROOT = join(import.meta.dirname, '..');
const CLIENTS = join(import.meta.dirname, 'clients');
const PAGE = join(ROOT, 'docs/conformance.md');
const READY_WITHIN_MS = 120_000;

/** Twelve examples, all different: OpenAI wants at least ten. */
const DATASET = Array.from({ length: 12 }, (_, index) => {
  const messages = [
    { role: 'user', content: `What is ${index} and ${index}?` },
    { role: 'assistant', content: `${index} and ${index} is ${2 * index}.` },
  ];
  return `${JSON.stringify({ messages })}\n`;
}).join('');

async function main(): Promise<number> {
  const started = performance.now();
  const [newest, python] = await Promise.all([newestNode(), pythonTool('openai')]);
  const dataDir = mkdtempSync(join(tmpdir(), 'graft-clients-'));
  const key = randomBytes(24).toString('hex');
  const settings = { ROOT_API_KEY: key, ALLOW_PRIVATE_HOSTS: '127.0.0.1', LOG_LEVEL: 'warn' };
  const service = await startService({ root: ROOT, dataDir, logFile: join(dataDir, 'service.log'), settings });
  const proxy = await faultyProxy(service.url);
  try {
    await untilReady(service, READY_WITHIN_MS);
    const baseURL = `${service.url}/v1`;
    const instructions = { baseURL, faultyURL: proxy.url, key, dataset: DATASET };
    const env = { PYTHONDONTWRITEBYTECODE: '1', OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: key, OPENAI_ADMIN_KEY: key };
    const node = (program: string, folder: string) => {
      const told = JSON.stringify({ ...instructions, package: join(ROOT, 'node_modules', folder) });
      return runClient({ language: 'Node', command: [program, '--import', 'tsx', join(CLIENTS, 'node/main.ts'), told], env });
    };
    const [problems, ...runs] = await Promise.all([
      followPages({ url: service.url, key, dataset: DATASET, python }),
      node(process.execPath, 'openai'),
      node(join(newest, 'node'), 'openai7'),
      runClient({ language: 'Python', command: [python, join(CLIENTS, 'python/main.py'), JSON.stringify(instructions)], env }),
    ]);
    return report(conformanceOf(runs), problems, { seconds: (performance.now() - started) / 1000, clients: runs.map(({ name }) => name) });
  } catch (error) {
    console.error(endOfLog(service));
    throw error;
  } finally {
    await proxy.close();
    await stopService(service);
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function report({ markdown, failures: failedRows, passed }: Conformance, problems: string[], run: { seconds: number; clients: string[] }): number {
  const failures = [...failedRows, ...problems];
  console.log(markdown);
  for (const failure of failures) console.log(`FAILED ${failure}`);
  console.log(JSON.stringify({ passed, failed: failures.length, ...run, seconds: Math.round(run.seconds) }));
  if (isWriting) writeFileSync(PAGE, page(markdown));
  return failures.length === 0 ? 0 : 1;
}

const page = (markdown: string): string => `# What OpenAI's clients can do here

Written by \`npm run test:clients -- --write\`, which runs each row against the service with a worker, and fails when a row does or when a client has a method on
these resources without a row. ✓: the answer is what the contract and the client's types say. –: the client has no such method, or the row is about the other language.

${markdown}
`;

process.exitCode = await main();
