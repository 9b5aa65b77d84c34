import type { Command } from 'commander';
import { quantity } from '../../src/formats/quantity.ts';
import { type Context, contextOf } from '../context.ts';
import { EXIT, Failure } from '../exit-code.ts';
import { forgetKey, normalUrl, saveConnection, settingsPath } from '../settings.ts';
import { ask, askSecretly, textOfStdin } from '../terminal/ask.ts';
import { fields } from '../terminal/text.ts';

export function addLogin(graft: Command): void {
  graft
    .command('login [address]')
    .description('keep the address and the key of a service, after trying them')
    .option('--key-stdin', 'read the key from stdin instead of asking for it')
    .addHelpText(
      'after',
      `
The key is kept in ${settingsPath()} for you alone, and is sent to that address alone.
GRAFT_URL and GRAFT_API_KEY take precedence. Without either, a service on this machine is
found by the key that it keeps in ./data/api-key.

Examples:
  $ graft login http://gpu-box:3000
  $ pass show graft | graft login http://gpu-box:3000 --key-stdin`,
    )
    .action(async (address: string | undefined, { keyStdin }: { keyStdin?: boolean }, command: Command) => {
      await login(address, keyStdin ?? false, contextOf(command));
    });
  graft
    .command('logout')
    .description('forget the key of the service')
    .action(async (_options: object, command: Command) => {
      const { connection, output } = contextOf(command);
      const { url } = await connection();
      const forgotten = await forgetKey(url);
      output.result({ url, forgotten }, forgotten ? `The key of ${url} is forgotten.` : `There was no key of ${url}.`);
    });
  graft
    .command('status')
    .description('show which service is used, with which key, and whether it answers')
    .action(async (_options: object, command: Command) => showStatus(contextOf(command)));
}

async function login(address: string | undefined, keyStdin: boolean, { connection, output }: Context): Promise<void> {
  const current = await connection();
  const url = normalUrl(address ?? (keyStdin ? current.url : (await ask(`Address of the service [${current.url}]: `)) || current.url));
  const key = (keyStdin ? await textOfStdin() : await askSecretly('Key: ')).trim();
  if (key === '') throw new Failure('No key was given', { exitCode: EXIT.usage, hint: 'A service keeps its first one in DATA_DIR/api-key.' });
  const { openService } = await import('../service.ts');
  const { client } = openService({ url, key, keyFrom: null });
  const { data } = await client.models.list();
  await saveConnection(url, key);
  output.result({ url, saved_in: settingsPath() }, `Signed in to ${url}, which has ${quantity(data.length, 'model')}.`);
}

async function showStatus({ connection, service, output }: Context): Promise<void> {
  const { url, keyFrom } = await connection();
  const { client } = await service();
  const models = await client.models.list();
  const isReady = await fetch(`${url}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
  output.result(
    { url, key_from: keyFrom, ready: isReady, models: models.data.length },
    fields(
      [
        ['service', url],
        ['key from', keyFrom],
        ['state', isReady ? 'ready' : 'not ready: `graft doctor` says why'],
        ['models', models.data.length],
      ],
      output.paint,
    ),
  );
}
