// Node starts a thread with JavaScript alone: this lets it read the TypeScript of the rest.
import { register } from 'tsx/esm/api';

register();
await import('./reader-thread.ts');
