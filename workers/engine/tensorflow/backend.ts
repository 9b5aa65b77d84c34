/** The parts of tfjs-node's backend, and of the native binding behind it, that the engine calls directly. */
import { type Tensor, tf } from './tensorflow.ts';

export interface TensorMetadata {
  id: number;
  shape: number[];
  /** TensorFlow's number for the type. */
  dtype: number;
}

export interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

export interface Binding {
  TF_ATTR_STRING: number;
  TF_ATTR_INT: number;
  TF_ATTR_FLOAT: number;
  TF_ATTR_BOOL: number;
  TF_ATTR_TYPE: number;
  TF_FLOAT: number;
  TF_INT32: number;
  /** Present while a recorder replaces the binding. */
  recording?: true;
  createTensor(shape: readonly number[], dtype: number, values: ArrayLike<number> | Uint8Array[]): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): unknown;
  executeOp(name: string, attributes: OpAttribute[], inputs: number[], outputs: number): TensorMetadata[];
  loadSavedModel(dir: string, tags: string): number;
  deleteSavedModel(id: number): void;
  runSavedModel(id: number, inputs: number[], inputNames: string, outputNames: string): TensorMetadata[];
}

interface NodeBackend {
  binding: Binding;
  isUsingGpuDevice: boolean;
  createOutputTensor(metadata: TensorMetadata): Tensor;
  getInputTensorIds(tensors: Tensor[]): number[];
  executeSingleOutput(kernel: string, attributes: OpAttribute[], inputs: Tensor[]): Tensor;
  executeMultipleOutputs(kernel: string, attributes: OpAttribute[], inputs: Tensor[], outputs: number): Tensor[];
}

export const backend = tf.backend() as unknown as NodeBackend;
