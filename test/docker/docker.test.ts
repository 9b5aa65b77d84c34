/** Checks the Dockerfile and docker-compose.yml against the project, without a Docker engine. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/config.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Instruction {
  keyword: string;
  rest: string;
  /** The stage that it belongs to. */
  stage: string;
}

/** One entry per instruction, without comments and with continued lines joined. */
function dockerfile(): Instruction[] {
  const lines = read('Dockerfile')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  let stage = '';
  return lines.map((line) => {
    const [, keyword = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    if (keyword === 'FROM') stage = / AS (\S+)/.exec(rest)?.[1] ?? '';
    return { keyword, rest, stage };
  });
}

interface Compose {
  services: Record<
    string,
    {
      image?: string;
      build?: { target: string };
      environment?: Record<string, unknown>;
      depends_on?: Record<string, { condition: string }>;
      healthcheck?: object;
      volumes?: string[];
      ports?: string[];
    }
  >;
  volumes: Record<string, unknown>;
}
const compose: Compose = parse(read('docker-compose.yml'), { merge: true });
const instructions = dockerfile();
const stages = instructions.filter(({ keyword }) => keyword === 'FROM').map(({ stage }) => stage);
/** A stage and those that it is built from, nearest first. */
const ancestry = (stage: string): string[] => {
  const parent = instructions.find((one) => one.keyword === 'FROM' && one.stage === stage)?.rest.split(' ')[0];
  return parent !== undefined && stages.includes(parent) ? [stage, ...ancestry(parent)] : [stage];
};
const inherited = (stage: string, keyword: string) =>
  instructions.filter((one) => one.keyword === keyword && ancestry(stage).includes(one.stage)).map(({ rest }) => rest);

/** The variables that src/config.ts reads, and the S3 client's credentials. */
const settings = new Set([
  ...[...read('src/config.ts').matchAll(/(?:env\[|integer\(|key\(|allowedRepositories\()'(\w+)'/g)].map((match) => match[1]),
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
]);

describe('Dockerfile', () => {
  it('has the three targets', () => {
    expect(stages).toEqual(expect.arrayContaining(['api', 'worker', 'worker-gpu']));
  });

  it('copies only what the project has and .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = instructions
      .filter(({ keyword, rest }) => keyword === 'COPY' && !rest.startsWith('--from='))
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));
    expect(sources).not.toHaveLength(0);
    for (const source of sources) {
      expect(existsSync(join(root, source)), source).toBe(true);
      expect(allowed, source).toContain(source.split('/')[0]);
    }
  });

  it('copies only from earlier stages', () => {
    for (const [index, { keyword, rest }] of instructions.entries()) {
      const from = /^--from=(\S+)/.exec(rest)?.[1];
      if (keyword !== 'COPY' || from === undefined) continue;
      expect(instructions.slice(0, index).map(({ stage }) => stage)).toContain(from);
    }
  });

  it.each(['api', 'worker', 'worker-gpu'])('gives %s an ordinary user, a health check and a program that exists', (target) => {
    expect(inherited(target, 'USER').at(-1)).toBe('node');
    expect(inherited(target, 'HEALTHCHECK')).toHaveLength(1);
    const command: string[] = JSON.parse(inherited(target, 'CMD').at(-1)!);
    expect(existsSync(join(root, command.at(-1)!)), command.at(-1)).toBe(true);
    const check: string[] = JSON.parse(/CMD (.*)$/.exec(inherited(target, 'HEALTHCHECK')[0]!)![1]!);
    if (check[1] !== '--eval') expect(existsSync(join(root, check[1]!)), check[1]).toBe(true);
  });

  it('passes only flags that set-up knows', () => {
    const known = [...read('scripts/setup.mjs').matchAll(/'(--[\w-]+)'/g)].map(([, flag]) => flag);
    const used = instructions
      .filter(({ rest }) => rest.includes('setup.mjs --'))
      .flatMap(({ rest }) => [...rest.matchAll(/(?<=\s)--[\w-]+/g)].map(String));
    expect(used).not.toHaveLength(0);
    expect(known).toEqual(expect.arrayContaining(used));
  });
});

describe('docker-compose.yml', () => {
  const ours = Object.entries(compose.services).filter(([, service]) => service.build !== undefined);

  it('builds targets that the Dockerfile has', () => {
    expect(ours.map(([name]) => name).sort()).toEqual(['api', 'worker', 'worker-gpu']);
    for (const [name, { build }] of ours) expect(stages, name).toContain(build?.target);
  });

  it('gives our services settings that the configuration knows and accepts', () => {
    for (const [name, { environment = {} }] of ours) {
      for (const key of Object.keys(environment)) expect(settings, `${name}: ${key}`).toContain(key);
      expect(Object.keys(environment), name).toEqual(expect.arrayContaining(['DATABASE_URL', 'REDIS_URL', 'STORAGE_URL', 'ROOT_API_KEY']));
      const values = Object.entries(environment).map(([key, value]) => [key, String(value).replace(/\$\{\w+(?::-([^}]*)|:\?[^}]*)\}/g, '$1')]);
      const config = readConfig(Object.fromEntries(values));
      expect(new URL(config.databaseUrl!).hostname).toBe('postgres');
      expect(new URL(config.redisUrl!).hostname).toBe('redis');
      expect(new URL(config.storageUrl).searchParams.get('endpoint')).toBe('http://storage:9000');
    }
  });

  it('gives our services no privileges', () => {
    for (const [name, service] of ours) expect(service, name).toMatchObject({ cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    expect(compose.services['api']).toMatchObject({ read_only: true });
  });

  it('waits only for services that it has, in states that they can reach', () => {
    for (const [name, { depends_on = {} }] of Object.entries(compose.services)) {
      for (const [needed, { condition }] of Object.entries(depends_on)) {
        const service = compose.services[needed];
        expect(service, `${name} needs ${needed}`).toBeDefined();
        // Ours have their HEALTHCHECK in the Dockerfile.
        if (condition === 'service_healthy') expect(service?.healthcheck ?? service?.build, `${name} needs ${needed}`).toBeDefined();
      }
    }
  });

  it('declares its volumes, pins its images and gives workers no fixed port or name, so that they can be scaled', () => {
    for (const [name, service] of Object.entries(compose.services)) {
      for (const volume of service.volumes ?? []) {
        const source = volume.split(':')[0]!;
        if (/^[\w-]+$/.test(source)) expect(Object.keys(compose.volumes), name).toContain(source);
      }
      if (service.image !== undefined) expect(service.image, name).toMatch(/:(?!latest)[\w.-]+$/);
    }
    for (const name of ['worker', 'worker-gpu']) {
      expect(compose.services[name]).not.toHaveProperty('container_name');
      expect(compose.services[name]).not.toHaveProperty('ports');
    }
  });
});
