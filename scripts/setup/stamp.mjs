/** The stamp that set-up leaves. While it is current, set-up has nothing to do; this module imports nothing slow, so that it finds out at once. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesBelow } from './files.mjs';
import { tensorflowVariant } from './variant.mjs';

const stampPath = (/** @type {string} */ root) => join(root, 'node_modules', '.graft-setup.json');

/**
 * A digest of everything that set-up's result depends on.
 * @param {{root: string, parts: Parts}} options
 * @typedef {{development: boolean, tensorflow: boolean, servers: boolean}} Parts  what to set up
 */
function currentStamp({ root, parts }) {
  const folders = ['scripts/setup', ...(parts.tensorflow ? ['workers/engine/kernels'] : [])];
  const sources = folders.flatMap((folder) => filesBelow(join(root, folder)).map((path) => join(folder, path)));
  const paths = ['package-lock.json', 'prisma.config.ts', 'prisma/schema.prisma', 'scripts/setup.mjs', ...sources];
  const hash = createHash('sha256');
  for (const path of paths) hash.update(`${path}\n`).update(readFileSync(join(root, path)));
  return {
    inputs: hash.digest('hex'),
    node: `${process.version} ${process.arch}`,
    tensorflow: parts.tensorflow ? tensorflowVariant() : null,
    servers: parts.servers,
    development: parts.development,
  };
}

/** @returns whether set-up has nothing to do: its inputs are unchanged and its main products exist (the cache may have been emptied) */
export function isCurrent({ root, parts }) {
  try {
    const wanted = JSON.stringify(currentStamp({ root, parts }));
    if (JSON.stringify(JSON.parse(readFileSync(stampPath(root), 'utf8'))) !== wanted) return false;
  } catch {
    return false;
  }
  const products = ['src/generated/prisma/client.ts'];
  const tfjs = 'node_modules/@tensorflow/tfjs-node-gpu';
  if (parts.tensorflow) products.push(`${tfjs}/lib/napi-v8/tfjs_binding.node`, `${tfjs}/deps/lib/libtensorflow_cc.so.2`);
  if (parts.servers) products.push('node_modules/.graft/valkey-server');
  return products.every((path) => existsSync(join(root, path)));
}

export function writeStamp({ root, parts }) {
  writeFileSync(stampPath(root), `${JSON.stringify(currentStamp({ root, parts }), null, 2)}\n`);
}
