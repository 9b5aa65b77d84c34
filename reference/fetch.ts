/**
 * Everything that the checks fetch, one after the other, into the user's cache folder. A check makes what it misses, so this is for those who have
 * something else to do meanwhile:
 *
 *     node --import tsx reference/fetch.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasBinary, LlamaCpp } from './loaders/llama-cpp.ts';
import { newestNode } from './newest-node.ts';
import { npmTool, npmTools } from './npm-tool.ts';
import { pythonEnvironment } from './python/environment.ts';
import { pythonTool, pythonTools } from './python/tool.ts';
import { realDirectories } from './real-tokenizers/directories.ts';

// What `npm test` uses comes first.
for (const tool of pythonTools) await pythonTool(tool);
const python = await pythonEnvironment();
if (hasBinary()) await LlamaCpp.open(python);
const scratch = mkdtempSync(join(tmpdir(), 'graft-fetch-'));
await realDirectories(python, scratch);
rmSync(scratch, { recursive: true });
for (const tool of npmTools) await npmTool(tool);
await newestNode();
