/** How far the changes of some models lie in the space of another's: `node compare.ts REQUEST.json` prints the `Overlaps` of each as JSON. */
import { readFileSync } from 'node:fs';
import { ENERGY_RANKS } from '../../src/formats/analysis.ts';
import { type ChangedWeight, changedWeights } from '../../workers/engine/analysis/changed-weights.ts';
import type { SingularValues } from '../../workers/engine/analysis/singular-values.ts';
import type { TunedFiles } from '../../workers/engine/export/merged-weights.ts';
import { type Tensor2D, tf } from '../../workers/engine/tensorflow/tensorflow.ts';

export interface CompareRequest {
  modelDir: string;
  /** Whose changes are looked for … */
  tuned: TunedFiles[];
  /** … in the first directions of this one's. */
  other: TunedFiles;
}

/** What lies in the first r directions of the other change, as a part of all; and what would if the directions were random ones. */
export interface Overlap {
  r: number;
  /** Of what is read: ‖D·Vᵣ‖² / ‖D‖². */
  input: number;
  inputByChance: number;
  /** Of what is written: ‖Uᵣᵀ·D‖² / ‖D‖². */
  output: number;
  outputByChance: number;
}

export interface Overlaps {
  overlaps: Overlap[];
  /** φ(i, j) of the LoRA paper's section 7.2, mean over all matrices: the first i directions of the one with the first j of the other. */
  similarity: { i: number; j: number; input: number; output: number }[];
}

interface Pair {
  one: SingularValues;
  other: SingularValues;
  shape: readonly [rows: number, columns: number];
}

/** The first i directions that are compared with the first j. */
const COMPARED = [1, 2, 4, 8];

const { modelDir, tuned, other } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as CompareRequest;
const others = new Map([...changedWeights(modelDir, other)].map((changed): [string, ChangedWeight] => [changed.name, changed]));
console.log(JSON.stringify(tuned.map(overlaps)));

/** All matrices that both have changed. */
function* pairs(files: TunedFiles): Generator<Pair> {
  for (const { name, shape, singularValues: one } of changedWeights(modelDir, files)) {
    const its = others.get(name)?.singularValues;
    if (one && its) yield { one, other: its, shape: [shape[0]!, shape[1]!] };
  }
}

/** @returns the squared cosines between the directions of two sets, [columns of A][columns of B] */
function cosines(A: Float32Array, B: Float32Array, rows: number): number[][] {
  return tf.tidy(() => {
    const [a, b] = [A, B].map((values) => tf.tensor2d(values, [rows, values.length / rows])) as [Tensor2D, Tensor2D];
    return tf.square(tf.matMul(a, b, true, false)).arraySync();
  }) as unknown as number[][];
}

function overlaps(files: TunedFiles): Overlaps {
  const sums = new Map(ENERGY_RANKS.map((r) => [r, { input: 0, inputByChance: 0, output: 0, outputByChance: 0 }]));
  const phi = new Map(COMPARED.flatMap((i) => ENERGY_RANKS.map((j) => [`${i} ${j}`, { i, j, input: 0, output: 0, matrices: 0 }])));
  let energy = 0;
  for (const { one, other, shape } of pairs(files)) {
    const [rows, columns] = shape;
    energy += one.energy;
    const [output, input] = [cosines(one.U, other.U, rows), cosines(one.V, other.V, columns)];
    for (const [r, sum] of sums) {
      const inside = (squares: number[][]): number =>
        one.S.reduce((all, value, i) => all + value * value * squares[i]!.slice(0, r).reduce((a, b) => a + b, 0), 0);
      sum.input += inside(input);
      sum.output += inside(output);
      sum.inputByChance += (one.energy * Math.min(r, columns)) / columns;
      sum.outputByChance += (one.energy * Math.min(r, rows)) / rows;
    }
    for (const cell of phi.values()) {
      if (cell.i > one.S.length || cell.j > other.S.length) continue;
      const share = (squares: number[][]): number =>
        squares.slice(0, cell.i).reduce((all, row) => all + row.slice(0, cell.j).reduce((a, b) => a + b, 0), 0) / Math.min(cell.i, cell.j);
      cell.input += share(input);
      cell.output += share(output);
      cell.matrices += 1;
    }
  }
  const part = (value: number): number => value / energy;
  return {
    overlaps: [...sums].map(([r, sum]) => ({
      r,
      input: part(sum.input),
      inputByChance: part(sum.inputByChance),
      output: part(sum.output),
      outputByChance: part(sum.outputByChance),
    })),
    similarity: [...phi.values()].flatMap(({ i, j, input, output, matrices }) =>
      matrices === 0 ? [] : [{ i, j, input: input / matrices, output: output / matrices }],
    ),
  };
}
