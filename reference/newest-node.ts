/**
 * The newest Node with long-term support, from npm's `node` package, which is the program itself. It is installed once in the user's cache folder:
 *
 *     node --import tsx reference/newest-node.ts     prints the folder of its `node`
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { onceInCache } from '../scripts/setup/cache.mjs';
import { npmInstall } from './npm-tool.ts';

const NEWEST_LTS = '26.10.0';

/** @returns the folder that holds the program `node` */
export async function newestNode(): Promise<string> {
  const { folder } = await onceInCache(`node-${NEWEST_LTS}-${process.platform}-${process.arch}`, async (into) => {
    npmInstall([`node@${NEWEST_LTS}`], { into, scripts: true }); // its script picks the program for this machine
  });
  return join(folder, 'node_modules', 'node', 'bin');
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) console.log(await newestNode());
