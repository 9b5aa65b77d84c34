import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, readReference, referencePath } from '../../../../reference/fixtures.ts';
import { withModel } from '../../../../reference/measures.ts';
import { openForInference, openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import { openEagerForInference } from '../../../../workers/engine/eager/eager-model.ts';
import { saveModel } from '../../../../workers/engine/io/model-directory.ts';
import { readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { modelProblems } from '../../../../workers/engine/proof/model-layout.ts';

type Kind = 'same' | 'differ' | 'alone';
type Expected = { embedding: string; head: string } & Record<Kind, number[]>;
type Floats = Map<string, { shape: number[]; data: Float32Array }>;

const models = Object.entries(readReference<Record<string, Expected>>('tied-heads.json'));
const KINDS: Kind[] = ['same', 'differ', 'alone'];

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-heads-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The rows moved down by one, as `tied_heads.py` moves them. */
function moved({ shape, data }: { shape: number[]; data: Float32Array }) {
  const columns = shape[1]!;
  return { shape, data: Float32Array.from(data, (_, index) => data.at(index - columns)!) };
}

/** @returns a copy of the model with the head and the embedding that the kind asks for */
function modelWith(kind: Kind, model: string, { embedding, head }: Expected): string {
  const copy = mkdtempSync(join(dir, `${kind}-`));
  cpSync(referencePath(model, 'model'), copy, { recursive: true });
  const weights = readSafetensors(join(copy, 'model.safetensors')) as Floats;
  const table = weights.get(embedding)!;
  weights.set(head, kind === 'same' ? table : moved(table));
  if (kind === 'alone') weights.delete(embedding);
  writeSafetensors(join(copy, 'model.safetensors'), weights);
  return copy;
}

const ids = (vocabSize: number): Int32Array => Int32Array.from({ length: 24 }, (_, index) => (index * 37 + 11) % vocabSize);
const configOf = (modelDir: string) => JSON.parse(readFileSync(join(modelDir, 'config.json'), 'utf8')) as Record<string, unknown>;

describe.each(models)('a head that config.json ties › %s', (model, expected) => {
  it.each(KINDS)('with the weights of "%s" in the file › gives the logits of transformers', (kind) => {
    const modelDir = modelWith(kind, model, expected);
    for (const open of [openEagerForInference, openForInference]) {
      withModel(
        () => open({ modelDir }),
        (opened) => {
          expect(opened.config.tiedHead).toBe(kind !== 'differ');
          const logits = opened.nextTokenLogits(ids(opened.config.vocabSize));
          expect(largestDifference(logits.subarray(0, expected[kind].length), expected[kind])).toBeLessThanOrEqual(1e-4);
        },
      );
    }
  });

  it.each(KINDS)('with the weights of "%s" in the file › is delivered so that it loads back the same after full fine-tuning', (kind) => {
    const modelDir = modelWith(kind, model, expected);
    const delivered = mkdtempSync(join(dir, 'delivered-'));
    const trained = withModel(
      () => openForTraining({ modelDir, tuning: { type: 'full' }, seed: 0, weightDecay: 0 }),
      (opened) => {
        saveModel(opened, delivered, { sourceDir: modelDir, dtype: 'F32' });
        return opened.nextTokenLogits(ids(opened.config.vocabSize));
      },
    );
    expect(modelProblems(delivered, modelDir)).toEqual([]);
    expect(configOf(delivered)['tie_word_embeddings']).toBe(kind !== 'differ');
    const again = withModel(
      () => openForInference({ modelDir: delivered }),
      (opened) => opened.nextTokenLogits(ids(opened.config.vocabSize)),
    );
    expect(again).toEqual(trained);
  });
});

describe('a head that config.json does not tie', () => {
  it('and that is not in the file › is refused, with the field that would tie it', () => {
    const modelDir = mkdtempSync(join(dir, 'untied-'));
    cpSync(referencePath('cases', 'llama-gqa-tied', 'model'), modelDir, { recursive: true });
    writeFileSync(join(modelDir, 'config.json'), JSON.stringify({ ...configOf(modelDir), tie_word_embeddings: false }));
    expect(() => openForInference({ modelDir })).toThrow(/lm_head\.weight is missing, and tie_word_embeddings does not say/);
  });
});
