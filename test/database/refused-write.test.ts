import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/database/client.ts';
import { isDatabaseAway, isRefusedByDatabase } from '../../src/database/refused-write.ts';
import { openCuttingProxy } from './cutting-proxy.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from './embedded-database.ts';

let embedded: EmbeddedDatabase;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
});
afterAll(() => embedded.close());

const errorOf = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: Error) => error,
  );

describe('isRefusedByDatabase', () => {
  it('is true of what can never be stored', async () => {
    const { database } = embedded;
    const insert = (id: unknown) => database.worker.create({ data: { id: id as string, hostname: 'h', device: 'd' } });
    await insert('a');
    const refused = [
      await errorOf(insert('a')),
      await errorOf(insert(1)),
      await errorOf(database.$executeRaw`INSERT INTO workers (id, hostname, device) VALUES (${'a\0'}, 'h', 'd')`),
      await errorOf(database.$executeRaw`UPDATE jobs SET error = ${'{"message": "\\u0000"}'}::jsonb, seed = 1`),
    ];
    for (const error of refused) expect([isRefusedByDatabase(error), error.message]).toEqual([true, error.message]);
  });

  it('is false of a database that does not answer, and of errors that are not its own', async () => {
    const unreachable = openDatabase('postgresql://nobody@127.0.0.1:1/none?connect_timeout=2');
    const error = await errorOf(unreachable.worker.count());
    await unreachable.$disconnect();
    const { database } = embedded;
    const slow = await errorOf(
      database.$transaction([database.$executeRaw`SET LOCAL statement_timeout = 20`, database.$executeRaw`SELECT pg_sleep(2)`]),
    );
    for (const transient of [error, slow, new Error('the store is down')])
      expect([isRefusedByDatabase(transient), transient.message]).toEqual([false, transient.message]);
  });
});

describe('isDatabaseAway', () => {
  it('is true of a connection that is cut before or after the server gets a message, in a transaction or outside', async () => {
    const proxy = await openCuttingProxy(embedded.databaseUrl);
    const database = openDatabase(proxy.url);
    await database.job.count();
    for (const when of ['before', 'after'] as const) {
      for (const message of [1, 2, 3]) {
        proxy.cutAt(message, when);
        const error = await errorOf(database.$transaction((tx) => tx.job.count()));
        expect([isDatabaseAway(error), isRefusedByDatabase(error), error.message]).toEqual([true, false, error.message]);
      }
      proxy.cutAt(1, when);
      expect(isDatabaseAway(await errorOf(database.job.count()))).toBe(true);
    }
    await database.$disconnect();
    await proxy.close();
  });

  it('is false of errors that are not its own', () => {
    for (const error of [new Error('the store is down'), new TypeError('x is not a function'), 'text']) expect(isDatabaseAway(error)).toBe(false);
  });
});

describe('openDatabase', () => {
  it('bounds statements, locks and idle transactions', async () => {
    const limits = await embedded.database.$queryRaw<{ name: string; setting: string }[]>`
      SELECT name, setting FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') ORDER BY name`;
    expect(limits.map(({ setting }) => Number(setting))).toEqual([10_000, 5_000, 15_000]);
  });

  it('of a server that accepts connections and never answers › gives up', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const database = openDatabase(`postgresql://nobody@127.0.0.1:${port}/none`);
    const started = performance.now();
    expect(isDatabaseAway(await errorOf(database.job.count()))).toBe(true);
    expect(performance.now() - started).toBeLessThan(15_000);
    await database.$disconnect();
    silent.close();
  });
});
