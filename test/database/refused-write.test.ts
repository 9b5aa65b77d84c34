import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/database/client.ts';
import { isRefusedByDatabase } from '../../src/database/refused-write.ts';
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
