#!/usr/bin/env node
// The command `graft`. tsx compiles the TypeScript sources as they are loaded, as for the other programs of this package.
import { register } from 'tsx/esm/api';

register();
const { main } = await import('./main.ts');
await main(process.argv);
