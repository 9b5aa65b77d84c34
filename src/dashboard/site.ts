/** The files of the dashboard, as they are served: read once, compressed when they are first asked for, and named by a hash of them all. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WEB = join(ROOT, 'web');

/** The libraries that pages import, by the names under which they import them; also in web/index.html's import map. */
const LIBRARIES = {
  'vendor/preact.js': 'preact/dist/preact.mjs',
  'vendor/hooks.js': 'preact/hooks/dist/hooks.mjs',
  'vendor/htm.js': 'htm/dist/htm.mjs',
  'vendor/uplot.js': 'uplot/dist/uPlot.esm.js',
  'vendor/uplot.css': 'uplot/dist/uPlot.min.css',
};

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

const ENCODINGS = ['br', 'gzip'] as const;
type Encoding = (typeof ENCODINGS)[number];
const COMPRESS: Readonly<Record<Encoding, (content: Buffer) => Promise<Buffer>>> = { br: promisify(brotliCompress), gzip: promisify(gzip) };

export interface SiteFile {
  type: string;
  etag: string;
  content: Buffer;
  /** @returns the content as a client that accepts these encodings gets it, and which was chosen; null: as it is */
  encoded(acceptEncoding: string | undefined): Promise<{ content: Buffer; encoding: Encoding | null }>;
}

export interface Site {
  /** What the page at `/` is, and what it may do. */
  page: SiteFile;
  policy: string;
  /** Hash of all files: part of their addresses, so that browsers keep them for good. */
  version: string;
  /** By their path below `assets/{version}/`. */
  assets: ReadonlyMap<string, SiteFile>;
}

export async function readSite(): Promise<Site> {
  const contents = new Map<string, Buffer>();
  const own = (await readdir(WEB, { recursive: true })).filter((name) => /\.(js|css|svg)$/.test(name)).sort();
  for (const name of own) contents.set(name.replaceAll('\\', '/'), await readFile(join(WEB, name)));
  for (const [name, path] of Object.entries(LIBRARIES)) contents.set(name, withoutSourceMap(await readFile(join(ROOT, 'node_modules', path))));
  const template = await readFile(join(WEB, 'index.html'), 'utf8');

  const hash = createHash('sha256').update(template);
  for (const [name, content] of contents) hash.update(name).update(content);
  const version = hash.digest('hex').slice(0, 16);

  // Browsers would find the modules one by one, each only after it has been read that imports it.
  const modules = [...contents.keys()].filter((name) => name.endsWith('.js'));
  const preloads = modules.map((name) => `<link rel="modulepreload" href="assets/${name}">`).join('');
  const html = template.replace('</head>', () => `${preloads}</head>`).replaceAll('assets/', `assets/${version}/`);
  return {
    page: fileOf('index.html', Buffer.from(html)),
    policy: policyFor(html),
    version,
    assets: new Map([...contents].map(([name, content]) => [name, fileOf(name, content)])),
  };
}

/** Only the service's own files and its own API, and no text ever becomes markup. The one inline script is the import map, which has to be. */
function policyFor(html: string): string {
  const importMap = /<script type="importmap">([^<]*)<\/script>/.exec(html)?.[1];
  if (importMap === undefined) throw new Error('web/index.html has no import map');
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${createHash('sha256').update(importMap).digest('base64')}'`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

/** They are not served, and browsers with open developer tools would ask for them. */
const withoutSourceMap = (content: Buffer): Buffer => Buffer.from(content.toString().replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n'));

function fileOf(name: string, content: Buffer): SiteFile {
  const compressed = new Map<Encoding, Promise<Buffer>>();
  return {
    type: TYPES[name.slice(name.lastIndexOf('.') + 1)]!,
    etag: `"${createHash('sha256').update(content).digest('hex').slice(0, 32)}"`,
    content,
    async encoded(acceptEncoding = '') {
      const accepted = acceptEncoding.split(',').map((coding) => coding.split(';')[0]!.trim());
      const encoding = ENCODINGS.find((known) => accepted.includes(known)) ?? null;
      if (encoding === null) return { content, encoding };
      const made = compressed.get(encoding) ?? COMPRESS[encoding](content);
      compressed.set(encoding, made);
      return { content: await made, encoding };
    },
  };
}
