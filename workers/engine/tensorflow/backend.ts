/** tfjs-node's backend and the native binding behind it, as far as the engine speaks to them past tfjs's own functions. */
import { type Tensor, tf } from './tensorflow.ts';

export interface TensorMetadata {
  id: number;
  shape: number[];
  /** TensorFlow's number of it. */
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
  /** There while a recorder stands in the binding's place. */
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
