import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadApiKey } from '../../src/accounts/api-key.ts';

describe('the key in DATA_DIR', () => {
  it('is generated once, for its owner alone, and refused if somebody made it too short', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'graft-key-'));
    const { key, path } = await loadApiKey({ rootApiKey: null, dataDir });
    expect(key.length).toBeGreaterThan(40);
    expect((await stat(path!)).mode & 0o777).toBe(0o600);
    expect((await loadApiKey({ rootApiKey: null, dataDir })).key).toBe(key);
    await writeFile(path!, 'short\n');
    await expect(loadApiKey({ rootApiKey: null, dataDir })).rejects.toThrow(/has a key of 5 characters, too few; remove it/);
    await rm(dataDir, { recursive: true });
  });
});
