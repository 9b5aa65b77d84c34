import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { onceInCache } from '../../scripts/setup/cache.mjs';
import { kernelUnits } from '../../scripts/setup/kernels.mjs';
import { checkNode, checkPlatform } from '../../scripts/setup/requirements.mjs';
import { isCurrent, writeStamp } from '../../scripts/setup/stamp.mjs';
import { tensorflowVariant } from '../../scripts/setup/variant.mjs';

const root = join(import.meta.dirname, '../..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'graft-setup-'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text, { mode });
}

describe('set-up', () => {
  /** Stops at the tools, before it touches anything. */
  const setUpWith = (PATH: string) =>
    spawnSync(process.execPath, [join(root, 'scripts/setup.mjs')], {
      env: { PATH, HOME: folder },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  it('without Python and a compiler names both, with the reason and the remedy', () => {
    const { status, stderr } = setUpWith(folder);
    expect(status).toBe(1);
    expect(stderr).toMatch(/python3 is missing\.\n +why: .+\n +how: .*apt-get install python3 python3-pip/);
    expect(stderr).toMatch(/C\+\+ compiler \(g\+\+\) is missing\.\n +why: .+\n +how: .*apt-get install g\+\+/);
    expect(stderr).not.toMatch(/at .*\.mjs/);
  });

  it('with a Python that has no pip says that pip is missing', () => {
    write('python3', '#!/bin/sh\ntest "$1" = --version\n', 0o755);
    write('g++', '#!/bin/sh\n', 0o755);
    const { status, stderr } = setUpWith(`${folder}:/usr/bin/does-not-exist`);
    expect(status).toBe(1);
    expect(stderr).toContain('its pip is missing');
    expect(stderr).not.toContain('compiler (g++) is missing');
  });

  it('with an unknown argument lists the known ones', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/setup.mjs'), '--quik'], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/--quik.*--quick/);
  });

  it('on an old Node or another system says what is needed', () => {
    expect(() => checkNode('18.20.4')).toThrow(/18\.20\.4.*20\.19/);
    expect(() => checkNode('20.18.3')).toThrow(/20\.19/);
    expect(() => checkNode('20.19.0')).not.toThrow();
    expect(() => checkNode('24.0.0')).not.toThrow();
    expect(() => checkPlatform({ platform: 'darwin', arch: 'arm64' })).toThrow(/darwin arm64.*Linux/);
  });
});

describe('the TensorFlow variant', () => {
  const driver = (path: string) => path === '/proc/driver/nvidia/version';
  it.each([
    { env: {}, arch: 'x64', exists: driver, variant: 'cuda' },
    { env: {}, arch: 'x64', exists: () => false, variant: 'cpu' },
    { env: {}, arch: 'arm64', exists: driver, variant: 'cpu' },
    { env: { GRAFT_TENSORFLOW: 'cpu' }, arch: 'x64', exists: driver, variant: 'cpu' },
    { env: { GRAFT_TENSORFLOW: 'cuda' }, arch: 'x64', exists: () => false, variant: 'cuda' },
  ])('with $env on $arch is $variant', ({ variant, ...machine }) => {
    expect(tensorflowVariant(machine)).toBe(variant);
  });

  it('refuses an unknown value of GRAFT_TENSORFLOW', () => {
    expect(() => tensorflowVariant({ env: { GRAFT_TENSORFLOW: 'rocm' } })).toThrow(/rocm.*cpu or cuda/);
  });
});

describe('the stamp', () => {
  const parts = { development: true, tensorflow: true, servers: true };
  const product = 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node';
  const KERNEL = 'workers/engine/kernels/fused-rows.cc';
  const IN_SUB_FOLDER = 'workers/engine/kernels/per-instruction-set/tile-operations.cc';

  beforeEach(() => {
    for (const path of ['package-lock.json', 'prisma.config.ts', 'prisma/schema.prisma', 'scripts/setup.mjs', 'scripts/setup/cache.mjs', KERNEL])
      write(path, '');
    for (const path of ['src/generated/prisma/client.ts', product, 'node_modules/.graft/valkey-server']) write(path, '');
    write('node_modules/@tensorflow/tfjs-node-gpu/deps/lib/libtensorflow_cc.so.2', '');
  });

  it('is current once written, until an input changes', () => {
    expect(isCurrent({ root: folder, parts })).toBe(false);
    writeStamp({ root: folder, parts });
    expect(isCurrent({ root: folder, parts })).toBe(true);
    write('prisma/schema.prisma', 'model New {}');
    expect(isCurrent({ root: folder, parts })).toBe(false);
    writeStamp({ root: folder, parts });
    write(KERNEL, '// changed');
    expect(isCurrent({ root: folder, parts })).toBe(false);
  });

  it('is stale after a kernel in a sub-folder changes, and after a kernel moves to another folder', () => {
    write(IN_SUB_FOLDER, '// a kernel');
    writeStamp({ root: folder, parts });
    write(IN_SUB_FOLDER, '// changed');
    expect(isCurrent({ root: folder, parts })).toBe(false);
    writeStamp({ root: folder, parts });
    rmSync(join(folder, IN_SUB_FOLDER));
    write('workers/engine/kernels/tile-operations.cc', '// changed');
    expect(isCurrent({ root: folder, parts })).toBe(false);
  });

  it('is stale for other parts, for another variant, and when a product is missing', () => {
    vi.stubEnv('GRAFT_TENSORFLOW', 'cpu');
    writeStamp({ root: folder, parts });
    expect(isCurrent({ root: folder, parts: { ...parts, development: false } })).toBe(false);
    vi.stubEnv('GRAFT_TENSORFLOW', 'cuda');
    expect(isCurrent({ root: folder, parts })).toBe(false);
    vi.stubEnv('GRAFT_TENSORFLOW', 'cpu');
    expect(isCurrent({ root: folder, parts })).toBe(true);
    rmSync(join(folder, product));
    expect(isCurrent({ root: folder, parts })).toBe(false);
  });
});

describe('compiling the kernels', () => {
  const units = (arch: string) => kernelUnits({ folder, arch });

  beforeEach(() => {
    for (const path of ['fused-rows.cc', 'fused-rows.h', '.clang-format', 'per-instruction-set/tile-operations.cc', 'per-instruction-set/x.h'])
      write(path, '');
  });

  it('compiles every .cc file once, and those in per-instruction-set once for each instruction set', () => {
    const sets = ['amx', 'avx2', 'avx512', 'avx512_bf16', 'baseline'].map((set) => `tile-operations-${set}`);
    expect(units('x64').map(({ unit }) => unit)).toEqual(expect.arrayContaining(['fused-rows', ...sets]));
    expect(units('x64')).toHaveLength(1 + sets.length);
  });

  it('finds a new .cc file by itself', () => {
    write('new-kernel.cc', '');
    expect(units('x64').map(({ source }) => source)).toContain(join(folder, 'new-kernel.cc'));
  });

  it('on arm64 compiles for the baseline alone', () => {
    expect(units('arm64').map(({ unit }) => unit)).toEqual(['fused-rows', 'tile-operations-baseline']);
  });
});

describe('the cache', () => {
  beforeEach(() => vi.stubEnv('XDG_CACHE_HOME', folder));

  it('fills a folder once', async () => {
    const fill = vi.fn(async (into: string) => writeFileSync(join(into, 'file'), 'full'));
    expect((await onceInCache('thing', fill)).filled).toBe(true);
    const { folder: place, filled } = await onceInCache('thing', fill);
    expect(filled).toBe(false);
    expect(fill).toHaveBeenCalledTimes(1);
    expect(readFileSync(join(place, 'file'), 'utf8')).toBe('full');
  });

  it('is empty after a failure, and fills the folder the next time', async () => {
    const failing = onceInCache('thing', async (into) => {
      writeFileSync(join(into, 'half'), '');
      throw new Error('the connection broke');
    });
    await expect(failing).rejects.toThrow('the connection broke');
    expect(readdirSync(join(folder, 'graft'))).toEqual([]);
    await onceInCache('thing', async (into) => writeFileSync(join(into, 'whole'), ''));
    expect(readdirSync(join(folder, 'graft', 'thing'))).toEqual(['whole']);
  });

  it('has a complete folder after two have filled it at once', async () => {
    const fill = async (into: string) => {
      for (const name of ['a', 'b', 'c']) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        writeFileSync(join(into, name), '');
      }
    };
    await Promise.all([onceInCache('thing', fill), onceInCache('thing', fill)]);
    expect(readdirSync(join(folder, 'graft'))).toEqual(['thing']);
    expect(readdirSync(join(folder, 'graft', 'thing'))).toEqual(['a', 'b', 'c']);
  });
});

describe('package-lock.json', () => {
  it('names every optional package, since `npm ci` refuses it otherwise', () => {
    const { packages }: { packages: Record<string, { optionalDependencies?: Record<string, string> }> } = JSON.parse(
      readFileSync(join(root, 'package-lock.json'), 'utf8'),
    );
    const named = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)));
    const missing = Object.values(packages).flatMap(({ optionalDependencies = {} }) =>
      Object.keys(optionalDependencies).filter((name) => !named.has(name)),
    );
    expect(missing).toEqual([]);
  });
});
