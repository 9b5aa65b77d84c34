/** Starts the embedded servers on the directory given as its first argument, prints their URLs, and stops them when its input ends. */
import { once } from 'node:events';
import { startEmbedded } from '../../src/embedded/embedded.ts';

const embedded = await startEmbedded({ dataDir: process.argv[2]!, postgres: true, redis: true });
process.stdout.write(`${JSON.stringify({ databaseUrl: embedded.databaseUrl, redisUrl: embedded.redisUrl })}\n`);
await once(process.stdin.resume(), 'end');
await embedded.stop();
