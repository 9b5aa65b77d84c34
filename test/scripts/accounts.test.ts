import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCESS_REMEMBERED_MS } from '../../src/accounts/access-store.ts';
import { API_KEY, type RunningService, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

/** Runs `npm run accounts` as the operator does, beside the running service. @returns its lines, each as its cells */
async function accounts(...args: string[]): Promise<{ code: number | null; lines: string[][]; errors: string }> {
  const child = spawn(process.execPath, ['scripts/run.mjs', 'scripts/accounts.ts', ...args], {
    env: { ...process.env, DATA_DIR: service.services.config.dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, lines: output.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')])), errors };
}
const clientWith = (apiKey: string) => new OpenAI({ baseURL: `${service.address}/v1`, apiKey, adminAPIKey: apiKey, maxRetries: 0 });

describe('the command line for accounts', () => {
  it('makes an organization whose key administers it and nothing else', async () => {
    const [organization] = (await accounts('organizations', 'create', 'Acme')).lines[0]!;
    const [, key] = (await accounts('keys', 'create', 'boss', '--admin', '--organization', organization!)).lines[0]!;
    const { projects } = clientWith(key!).admin.organization;
    const made = await projects.create({ name: 'Films' });
    const names = (await projects.list()).data.map(({ name }) => name);
    expect(names).toEqual(['Films', 'Default project']);
    expect((await accounts('projects', 'list', '--organization', organization!)).lines.map(([id]) => id)).toContain(made.id);
    await expect(projects.retrieve('graft')).rejects.toMatchObject({ status: 404 });
  });

  it('makes a project, limits it, and makes keys of it that work until they are revoked', async () => {
    const [project] = (await accounts('projects', 'create', 'Films')).lines[0]!;
    await accounts('projects', 'limits', project!, '--max-files', '0', '--max-running-jobs', '2');
    expect((await accounts('projects', 'limits', project!, '--max-running-jobs', 'none')).lines.slice(0, 4)).toEqual([
      ['max-files', '0'],
      ['max-bytes', 'none'],
      ['max-queued-jobs', 'none'],
      ['max-running-jobs', 'none'],
    ]);
    const [id, key] = (await accounts('keys', 'create', 'nightly', '--project', project!, '--scopes', 'read', '--expires-days', '3')).lines[0]!;
    const { files } = clientWith(key!);
    await files.list();
    await expect(files.delete('file-none')).rejects.toMatchObject({ status: 403, code: 'missing_scope' });
    const [shown] = (await accounts('keys', 'list', '--project', project!)).lines;
    expect(shown!.slice(0, 4)).toEqual([id, 'nightly', expect.stringContaining('***'), 'read']);
    expect((await accounts('keys', 'revoke', id!, '--project', project!)).code).toBe(0);
    const status = () =>
      files.list().then(
        () => 200,
        (error) => error.status,
      );
    await expect.poll(status, { timeout: 2 * ACCESS_REMEMBERED_MS }).toBe(401);
    const entries = (await clientWith(API_KEY).admin.organization.auditLogs.list({ project_ids: [project!] })).data;
    expect(entries.map(({ type, actor }) => [type, actor?.api_key?.id])).toEqual(
      expect.arrayContaining(['project.created', 'project.updated', 'api_key.created', 'api_key.deleted'].map((type) => [type, 'command_line'])),
    );
  });

  it.each([
    { args: [], code: 2, message: 'Usage: npm run accounts' },
    { args: ['keys', 'create', 'a'], code: 2, message: 'keys create needs either --project ID or --admin' },
    { args: ['keys', 'create', 'a', '--project', 'graft', '--scopes', 'admin'], code: 2, message: '--scopes has "admin"; it may have read, write' },
    { args: ['projects', 'limits', 'graft', '--max-files', 'many'], code: 2, message: '--max-files is "many"; it must be a whole number' },
    { args: ['projects', 'limits', 'graft', '--max-files', '1e10'], code: 2, message: 'it must be a whole number from 0 to 2147483647' },
    { args: ['projects', 'archive', 'proj_none'], code: 1, message: 'There is no project "proj_none"' },
    { args: ['projects', 'list', '--organization', 'org-none'], code: 1, message: 'There is no organization "org-none"' },
  ])('says of $args what is wrong', async ({ args, code, message }) => {
    expect(await accounts(...args)).toMatchObject({ code, lines: [], errors: expect.stringContaining(message) });
  });
});
