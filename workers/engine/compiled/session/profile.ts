/** Tells where the time of a run goes, from TensorFlow's own trace of when each operation began and ended. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { traceSessionTo } from '../../tensorflow/tensorflow.ts';
import type { GraphNode } from '../recording/graph.ts';
import { lookUp } from '../recording/operations.ts';

export interface TimedOperation {
  op: string;
  /** The part of the model, named as in the checkpoint. */
  scope: string;
  milliseconds: number;
  /** Floating-point operations of a product; 0 for all other operations. */
  flops: number;
}

interface ProfileOptions {
  /** All nodes of the graph. */
  nodes: readonly GraphNode[];
  /** The size in this run that was recorded as `size`. */
  actual(size: number): number;
}

/** @param run runs the graph once. Operations that run side by side each count in full */
export function profile(run: () => void, { nodes, actual }: ProfileOptions): TimedOperation[] {
  const dir = mkdtempSync(join(tmpdir(), 'graft-trace-'));
  try {
    const path = join(dir, 'run-metadata.pb');
    traceSessionTo(path, run);
    const found = traced(readFileSync(path));
    return nodes.flatMap((node) => {
      const trace = found.get(node.name);
      if (trace === undefined) return [];
      return [
        {
          op: node.op,
          scope: node.scope,
          milliseconds: trace.milliseconds,
          flops: lookUp(node.op).flops?.(node, { elements: trace.elements, actual }) ?? 0,
        },
      ];
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The part of google-protobuf that this file uses. */
interface Reader {
  nextField(): boolean;
  isEndGroup(): boolean;
  getFieldNumber(): number;
  readMessage(message: object, read: (message: object, reader: Reader) => void): void;
  readString(): string;
  readInt64(): number;
  skipField(): void;
}
const ofTfjs = createRequire(createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json'));
const { BinaryReader } = ofTfjs('google-protobuf') as { BinaryReader: new (bytes: Uint8Array) => Reader };

/** Field numbers from tensorflow/core/protobuf/config.proto and tensorflow/core/framework/step_stats.proto. */
const RunMetadata = { stepStats: 1 } as const;
const StepStats = { devices: 1 } as const;
const DeviceStepStats = { nodes: 2 } as const;
const NodeExecStats = { name: 1, outputs: 7, opStartNanoseconds: 14, opEndNanoseconds: 15 } as const;
const NodeOutput = { tensor: 3 } as const;
const TensorDescription = { shape: 2 } as const;
const TensorShape = { dimensions: 2 } as const;
const Dimension = { size: 1 } as const;

interface Traced {
  milliseconds: number;
  /** How many elements its results had. */
  elements: number;
}

/** @param bytes a RunMetadata message. @returns time and elements of each node, by name */
function traced(bytes: Uint8Array): Map<string, Traced> {
  const nodes = new Map<string, Traced>();
  /** Reads the submessages with this field number and skips the other fields. */
  const inside = (number: number, read: (reader: Reader) => void) => (reader: Reader) =>
    eachField(reader, (field) => (field === number ? reader.readMessage({}, (_, inner) => read(inner)) : reader.skipField()));
  const readNode = (reader: Reader): void => {
    let name = '';
    let nanoseconds = 0;
    let elements = 0;
    const readOutput = inside(NodeOutput.tensor, (tensor) => {
      let product = 1;
      const readDimension = (dimension: Reader): void =>
        eachField(dimension, (field) => {
          if (field === Dimension.size) product *= dimension.readInt64();
          else dimension.skipField();
        });
      inside(TensorDescription.shape, inside(TensorShape.dimensions, readDimension))(tensor);
      elements += product;
    });
    eachField(reader, (field) => {
      if (field === NodeExecStats.name) name = reader.readString();
      else if (field === NodeExecStats.opStartNanoseconds) nanoseconds -= reader.readInt64();
      else if (field === NodeExecStats.opEndNanoseconds) nanoseconds += reader.readInt64();
      else if (field === NodeExecStats.outputs) reader.readMessage({}, (_, inner) => readOutput(inner));
      else reader.skipField();
    });
    nodes.set(name, { milliseconds: nanoseconds / 1e6, elements });
  };
  inside(RunMetadata.stepStats, inside(StepStats.devices, inside(DeviceStepStats.nodes, readNode)))(new BinaryReader(bytes));
  return nodes;
}

function eachField(reader: Reader, read: (number: number) => void): void {
  while (reader.nextField() && !reader.isEndGroup()) read(reader.getFieldNumber());
}
