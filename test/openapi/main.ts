/**
 * `npm run test:openapi`: whether the service does what its OpenAPI document says. A job is trained, so that there is something to read; then
 * schemathesis tries every operation, and two generators make clients of the document, which are used. Ends with 1 if anything differs.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../journey/api.ts';
import { sameAnswer } from '../journey/dataset.ts';
import { JOURNEY_KEY, makeHome, startService } from '../journey/service.ts';
import { uploadAtDocs } from './docs-page.ts';
import { usePythonClient, useTypeScriptClient } from './generators.ts';
import { type Tested, testAtRandom, testEachKeyword, testReading } from './tester.ts';

const home = await makeHome();
const folder = await mkdtemp(join(tmpdir(), 'graft-openapi-'));
const service = await startService(home, { workers: 1 });
try {
  const tested: Tested = { url: new URL(service.url).origin, apiKey: JOURNEY_KEY, folder };
  const document = join(folder, 'openapi.json');
  await writeFile(document, await (await fetch(`${tested.url}/docs/json`)).text());
  const existing = await trainedJob();

  const reading = testReading(tested, existing);
  const clients: [string, boolean][] = [
    ['TypeScript client', await succeeds(() => useTypeScriptClient(tested, document))],
    ['Python client', await succeeds(() => usePythonClient(tested, document))],
    ['upload at /docs', await succeeds(() => uploadAtDocs(tested))],
    ['reading what exists', await reading],
  ];
  // These delete what they find.
  const [keywords, random] = await Promise.all([testEachKeyword(tested), testAtRandom(tested)]);
  const results: [string, boolean][] = [...clients, ['each keyword of each schema', keywords], ['requests and sequences at random', random]];
  console.log(`\n${results.map(([what, isGood]) => `${isGood ? 'good' : 'BAD '}  ${what}`).join('\n')}`);
  process.exitCode = results.every(([, isGood]) => isGood) ? 0 : 1;
} finally {
  await service.stop();
  await home.remove();
  await rm(folder, { recursive: true, force: true });
}

/** @returns the values of path parameters that name a trained job and what it made */
async function trainedJob(): Promise<Record<string, string>> {
  const api = connect(service.url);
  await api.model('tiny');
  const [training_file, validation_file] = [await api.upload(sameAnswer(8)), await api.upload(sameAnswer(2, 100))];
  const hyperparameters = { n_epochs: 1, batch_size: 4 };
  const { id } = await api.create({ model: 'tiny', training_file, validation_file, hyperparameters, metadata: { for: 'reading' } });
  const { status, error, fine_tuned_model } = await api.over(id);
  if (status !== 'succeeded') throw new Error(`The job that is to be read is ${status}: ${JSON.stringify(error)}`);
  const [checkpoint] = await api.checkpoints(id);
  return { job_id: id, file_id: training_file, model: fine_tuned_model!, step: String(checkpoint!.step_number), filename: 'adapter_config.json' };
}

async function succeeds(use: () => Promise<void>): Promise<boolean> {
  try {
    await use();
    return true;
  } catch (error) {
    console.error(error);
    return false;
  }
}
