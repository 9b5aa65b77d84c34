/** What has been computed, a line of JSON each, so that a report that was interrupted repeats nothing. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastLineOf } from '../../bench/program.ts';

const SHOWN_OF_KEY = 100;

export class Results {
  readonly #file: string;
  readonly #known = new Map<string, unknown>();

  constructor(readonly folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#file = join(folder, 'results.jsonl');
    const text = existsSync(this.#file) ? readFileSync(this.#file, 'utf8') : '';
    // A line that was not written to its end is computed again.
    for (const line of text.split('\n').slice(0, -1)) {
      const { key, value } = JSON.parse(line) as { key: string; value: unknown };
      this.#known.set(key, value);
    }
    if (text !== '' && !text.endsWith('\n')) writeFileSync(this.#file, text.slice(0, text.lastIndexOf('\n') + 1));
  }

  /**
   * Runs a program of this folder in a process of its own, unless its result is known.
   * @param key names the result: whatever changes it is in the key
   * @returns what the program printed last
   */
  of<T>(key: string, program: string, request: object): T {
    if (!this.#known.has(key)) {
      console.error(`${key.slice(0, SHOWN_OF_KEY)} …`);
      const path = join(this.folder, 'request.json');
      writeFileSync(path, JSON.stringify(request));
      const printed = lastLineOf(['node', '--expose-gc', '--import', 'tsx', join(import.meta.dirname, program), path]);
      const value = JSON.parse(printed) as unknown;
      appendFileSync(this.#file, `${JSON.stringify({ key, value })}\n`);
      this.#known.set(key, value);
    }
    return this.#known.get(key) as T;
  }
}
