/**
 * Moments of a slab's parameters in a session: in f32, or in 8 bits, as bitsandbytes holds them (Dettmers et al. 2022). An element is then its code's value
 * in a map times the scale of its block, the largest of 256 neighbours.
 */
import { blocksOf } from '../../../src/formats/optimizer.ts';
import { tf } from '../tensorflow/tensorflow.ts';
import type { CodedMoment, Moment } from '../tuning/tuned-model.ts';
import { DType, type Graph } from './recording/graph.ts';
import { assignSlabs, type FilledSlab, fetchSlabs, setVariable } from './session/held-slabs.ts';
import type { GraphSession } from './session/session.ts';
import { type SessionVariable, sessionVariable } from './session/session-variable.ts';
import { COLUMNS, filledFrom, type Slab } from './slab.ts';

/** Codes in an element of an int32 tensor: tfjs has no tensors of bytes. */
const CODES_OF_ELEMENT = 4;

export interface CodedVariables {
  /** int32 [rows, 8], a byte for each element of the slab. */
  codes: SessionVariable;
  /** [blocks], part by part: blocks of one parameter hold nothing of another. */
  absmax: SessionVariable;
}

export type MomentVariables = SessionVariable | CodedVariables;

/** One of a slab's two moments. */
export interface SlabMoment {
  slab: Slab;
  moment: MomentVariables;
}

export const isCoded = (moment: MomentVariables): moment is CodedVariables => 'codes' in moment;

/** Adds the variables of a moment. @param in8Bits whether it is held in codes */
export function momentVariables(graph: Graph, name: string, { slab, in8Bits }: { slab: Slab; in8Bits: boolean }): MomentVariables {
  if (!in8Bits) return sessionVariable(graph, name, slab.shape);
  const [rows, columns] = slab.shape;
  const blocks = slab.parts.reduce((sum, { size }) => sum + blocksOf(size), 0);
  return {
    codes: sessionVariable(graph, `${name}/codes`, [rows, columns / CODES_OF_ELEMENT], { dtype: DType.int32 }),
    absmax: sessionVariable(graph, `${name}/absmax`, [blocks]),
  };
}

export const variablesOf = (moment: MomentVariables): SessionVariable[] => (isCoded(moment) ? [moment.codes, moment.absmax] : [moment]);

/** @returns one moment of each parameter, by name */
export function fetchMoments(session: GraphSession, of: readonly SlabMoment[]): Map<string, Moment> {
  const whole = of.flatMap(({ slab, moment }) => (isCoded(moment) ? [] : [[slab, [moment]] as const]));
  const [values = new Map<string, Moment>()]: Map<string, Moment>[] = whole.length === 0 ? [] : fetchSlabs(session, whole);
  const coded = of.flatMap(({ slab, moment }) => (isCoded(moment) ? [[...fetchCodes(session, slab, moment)]] : []));
  return new Map([...values, ...coded.flat()]);
}

function fetchCodes(session: GraphSession, slab: Slab, { codes, absmax }: CodedVariables): Map<string, CodedMoment> {
  const fetched = session.run({}, [codes.value, absmax.value]);
  const [words, scales] = [fetched[0]!.dataSync<'int32'>(), fetched[1]!.dataSync<'float32'>()];
  tf.dispose(fetched);
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  return new Map(
    placesOf(slab).map(({ name, firstCode, size, firstBlock, blocks }) => [
      name,
      { codes: bytes.subarray(firstCode, firstCode + size), absmax: scales.subarray(firstBlock, firstBlock + blocks) },
    ]),
  );
}

/** Sets moments. @param read those of a parameter, by its name, held as the session holds them */
export function assignMoments(session: GraphSession, of: readonly SlabMoment[], read: (name: string) => Moment): void {
  const whole = of.flatMap(({ slab, moment }): FilledSlab[] =>
    isCoded(moment) ? [] : [{ slab, variable: moment, fill: filledFrom((name) => read(name) as Float32Array) }],
  );
  if (whole.length > 0) assignSlabs(session, whole);
  for (const { slab, moment } of of) if (isCoded(moment)) assignCodes(session, slab, { moment, read: (name) => read(name) as CodedMoment });
}

function assignCodes(session: GraphSession, slab: Slab, { moment, read }: { moment: CodedVariables; read(name: string): CodedMoment }): void {
  const { codes, absmax } = moment;
  const bytes = new Uint8Array(slab.shape[0] * slab.shape[1]);
  const scales = new Float32Array(absmax.shape[0]!);
  for (const { name, firstCode, firstBlock } of placesOf(slab)) {
    const values = read(name);
    bytes.set(values.codes, firstCode);
    scales.set(values.absmax, firstBlock);
  }
  setVariable(session, codes, new Int32Array(bytes.buffer));
  setVariable(session, absmax, scales);
}

interface CodedPart {
  name: string;
  /** Number of elements, and so of codes. */
  size: number;
  firstCode: number;
  firstBlock: number;
  blocks: number;
}

function placesOf({ parts }: Slab): CodedPart[] {
  let end = 0;
  return parts.map(({ name, size, firstRow }) => {
    const [firstBlock, blocks] = [end, blocksOf(size)];
    end += blocks;
    return { name, size, firstCode: firstRow * COLUMNS, firstBlock, blocks };
  });
}
