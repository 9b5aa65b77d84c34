import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { openLog } from '../src/log.ts';

function written(act: (log: ReturnType<typeof openLog>) => void): string {
  let text = '';
  const write = (line: string) => {
    text += line;
  };
  act(openLog('info', { write }));
  return text;
}

describe('the log', () => {
  it('writes JSON lines as pino does, errors with their stack and code', () => {
    const line = JSON.parse(
      written((log) => log.child({ jobId: 'j' }).warn({ err: Object.assign(new Error('no'), { code: 'E1' }) }, 'hm')),
    ) as object;
    expect(line).toMatchObject({ level: 40, jobId: 'j', msg: 'hm', err: { message: 'no', code: 'E1', stack: expect.stringContaining('log.test') } });
  });

  it('shows no secret of the settings, wherever a text has it, nor any number that looks like one', () => {
    readConfig({ REDIS_URL: 'redis://:123456@cache/0', HF_TOKEN: 'hf_tokentoken', ROOT_API_KEY: 'a-key-of-enough-length' });
    const text = written((log) =>
      log.info({ number: 123456, nested: [{ url: 'redis://:123456@cache/0' }], hf_tokentoken: 1 }, 'Bearer a-key-of-enough-length'),
    );
    expect(JSON.parse(text)).toMatchObject({ number: 123456, nested: [{ url: 'redis://***@cache/0' }], msg: 'Bearer ***' });
    expect(text).not.toContain('enough');
  });

  it('shows neither the command that Redis refused, which has the password, nor a URL that cannot be parsed', () => {
    const refused = Object.assign(new Error('WRONGPASS'), { command: { name: 'auth', args: ['me', 'short'] } });
    const malformed = (() => {
      try {
        return new URL('not a url with pw');
      } catch (error) {
        return error;
      }
    })();
    const text = written((log) => {
      log.error({ err: refused }, 'queue error');
      log.error({ err: malformed }, 'queue error');
    });
    expect(text).toContain('WRONGPASS');
    expect(text).not.toContain('short');
    expect(text).not.toContain('with pw');
  });

  it('keeps each line short, whatever an error has', () => {
    const huge = new Error('x'.repeat(10_000_000));
    const text = written((log) => log.error({ err: huge, list: Array.from({ length: 10_000 }, () => 'y'.repeat(100)) }, 'z'.repeat(1_000_000)));
    expect(text.length).toBeLessThan(100_000);
    expect(JSON.parse(text)).toMatchObject({ level: 50 });
  });
});

describe('settings that are wrong', () => {
  it.each([
    { REDIS_URL: 'redis//user:pa55word@host' },
    { REDIS_URL: 'redis://user:pa55word@ho st:99999' },
    { DATABASE_URL: 'postgres//user:pa55word@host/db' },
    { DATABASE_URL: 'postgresql://user:pa55word@host:port/db' },
    { DATABASE_URL: 'mysql://user:pa55word@host/db' },
    { HF_ENDPOINT: 'https://user:pa55word@mirror' },
    { HF_ENDPOINT: 'ftp://user:pa55word@mirror' },
    { STORAGE_URL: 'https://user:pa55word@store' },
    { PORT: 'redis://user:pa55word@host' },
    { ROOT_API_KEY: 'pa55word' },
  ])('are named without what is secret in them: %j', (env) => {
    const [name] = Object.keys(env);
    expect(() => readConfig(env as Record<string, string>)).toThrow(expect.objectContaining({ message: expect.stringContaining(name!) }) as Error);
    expect(() => readConfig(env as Record<string, string>)).not.toThrow(/pa55word/);
  });
});
