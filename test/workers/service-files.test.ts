import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { serviceFiles } from '../../workers/service-files.ts';

const filesOf = (env: Record<string, string>, urls: Partial<{ database: string; redis: string; storage: string }> = {}) => {
  const config = readConfig({ DATA_DIR: '/srv/graft', ...env });
  return serviceFiles({ config, urls: { database: 'postgresql://db/graft', redis: 'redis://cache', storage: config.storageUrl, ...urls } });
};

describe('the files of the service that training does not see', () => {
  it('are the key, the servers, their sockets and the objects, wherever they are', () => {
    const urls = {
      database: 'postgresql://postgres@localhost/graft?host=%2Ftmp%2Fgraft-0-ab',
      redis: '/tmp/graft-0-ab/valkey.sock',
      storage: 'file:///mnt/store',
    };
    expect(filesOf({}, urls).sort()).toEqual(
      [...['api-key', 'run', 'postgres', 'valkey', 'objects'].map((name) => `/srv/graft/${name}`), '/tmp/graft-0-ab', '/mnt/store'].sort(),
    );
  });

  it.each(['/', '/srv', '/srv/graft', '/srv/graft/'])('are never a directory that holds what training needs: a store in %s', (path) => {
    expect(filesOf({}, { storage: `file://${path}` })).not.toContain(path.replace(/(?<=.)\/$/, ''));
  });
});
