/**
 * A folder that keeps a run's tokenised files, so that a resume or another attempt need not tokenise again. Each file has a folder of its own, complete
 * or absent. What made it, and the hashes of its content, are in `about.json`: it is used only if all of them still hold.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExampleFile } from '../../../src/formats/example-refusal.ts';
import { hashFile } from '../../../src/formats/hashing.ts';
import type { ReadDataset } from './dataset.ts';
import type { IdBytes } from './example-record.ts';
import { TokenFile, TokenWriter } from './token-file.ts';

/** Raised when the files change, or what makes them does within one version of Graft. */
const FORMAT = 2;
const ABOUT = 'about.json';

interface About extends Pick<ReadDataset, 'facts' | 'receipt' | 'sha256' | 'content'> {
  format: number;
  recipe: string;
  /** ISO 8601; the date that chat templates saw. */
  today: string;
}

interface Tokenized {
  dataset: ReadDataset;
  /** The date that chat templates saw. */
  today: Date;
}

export class KeptTokens {
  readonly #dir: string;
  readonly #recipe: string;

  /** @param recipe everything that decides the tokens, except the file and the date, as `recipe.ts` hashes it */
  constructor(dir: string, recipe: string) {
    this.#dir = dir;
    this.#recipe = recipe;
  }

  /**
   * @param file.today the date that chat templates are to see; null takes any
   * @returns the file as it was tokenised before; null if it was not, or not like this, or if what was kept is damaged
   */
  async find(param: ExampleFile, { path, today }: { path: string; today: Date | null }): Promise<Tokenized | null> {
    const about = this.#about(param);
    if (about === null || (today !== null && about.today !== today.toISOString())) return null;
    const { facts, receipt, sha256, content } = about;
    try {
      if ((await hashFile(path)) !== sha256) return null;
      for (const name of ['records', 'index'] as const) {
        const kept = join(this.#dir, param, name);
        if (statSync(kept).size !== content[name].bytes || (await hashFile(kept)) !== content[name].sha256) return null;
      }
      const examples = TokenFile.open(join(this.#dir, param), content);
      return { dataset: { examples, facts, receipt, sha256, content, problem: null }, today: new Date(about.today) };
    } catch {
      return null; // tokenising again says what is wrong, if anything is
    }
  }

  writer(param: ExampleFile, idBytes: IdBytes): TokenWriter {
    const partial = this.#partial(param);
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    return new TokenWriter(partial, idBytes);
  }

  /** @param file.dataset written by this folder's writer, and still open */
  keep(param: ExampleFile, { dataset: { facts, receipt, sha256, content }, today }: Tokenized): void {
    const about: About = { format: FORMAT, recipe: this.#recipe, today: today.toISOString(), sha256, facts, receipt, content };
    writeFileSync(join(this.#partial(param), ABOUT), JSON.stringify({ about, sha256: hashOf(about) }));
    rmSync(join(this.#dir, param), { recursive: true, force: true });
    renameSync(this.#partial(param), join(this.#dir, param));
  }

  /** Removes what was written and not kept. */
  discardUnfinished(): void {
    for (const param of ['training_file', 'validation_file'] as const) rmSync(this.#partial(param), { recursive: true, force: true });
  }

  #partial(param: ExampleFile): string {
    return join(this.#dir, `${param}.partial`);
  }

  #about(param: ExampleFile): About | null {
    try {
      const { about, sha256 } = JSON.parse(readFileSync(join(this.#dir, param, ABOUT), 'utf8')) as { about: About; sha256: string };
      return about.format === FORMAT && about.recipe === this.#recipe && hashOf(about) === sha256 ? about : null;
    } catch {
      return null;
    }
  }
}

const hashOf = (about: About): string => createHash('sha256').update(JSON.stringify(about)).digest('hex');
