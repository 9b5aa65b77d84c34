/** XGrammar in WebAssembly: which tokens may come next if a text is to conform to a grammar. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { compileFunction, constants } from 'node:vm';
import type * as XGrammar from '@mlc-ai/web-xgrammar';

let loaded: typeof XGrammar | null = null;

/** The package's file is CommonJS in a package that calls itself an ES module, so that neither `import` nor `require` loads it: it is compiled here. */
export function xgrammar(): typeof XGrammar {
  if (loaded !== null) return loaded;
  const require = createRequire(import.meta.url);
  const filename = require.resolve('@mlc-ai/web-xgrammar');
  const module = { exports: {} };
  const load = compileFunction(readFileSync(filename, 'utf8'), ['exports', 'require', 'module', '__filename'], {
    filename,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER, // it imports modules of Node
  });
  load(module.exports, require, module, filename);
  loaded = module.exports as typeof XGrammar;
  return loaded;
}

/** After an error the memory of its WebAssembly may be anything: the next use begins with a new one. */
export function forgetXgrammar(): void {
  loaded = null;
}
