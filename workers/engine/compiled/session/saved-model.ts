/** Writes a graph as a TensorFlow SavedModel file, with the protobuf messages that tfjs-node has for reading such files. */
import { createRequire } from 'node:module';
import type { Attribute, GraphNode, Output } from '../recording/graph.ts';

/** The part of google-protobuf's generated classes that this file uses. */
interface Message {
  [method: string]: (...values: unknown[]) => unknown;
  serializeBinary(): Uint8Array;
}
type MessageClass = (new () => Message) & Record<string, unknown>;

const messages = createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu/dist/proto/api_pb.js') as Record<string, MessageClass>;

/** The oldest version of TensorFlow's graphs that has every operation used here. Newer libraries read it. */
const PRODUCER = 1882;
const TAG = 'serve';

export interface SavedGraph {
  bytes: Uint8Array;
  tag: string;
}

/** @param nodes in any order */
export function savedModel(nodes: readonly GraphNode[]): SavedGraph {
  const graph = make('GraphDef');
  for (const node of nodes) graph['addNode']!(nodeMessage(node));
  const versions = make('VersionDef');
  versions['setProducer']!(PRODUCER);
  graph['setVersions']!(versions);
  const meta = make('MetaGraphDef');
  const Info = messages['MetaGraphDef']!['MetaInfoDef'] as MessageClass;
  const info = new Info() as Message;
  info['addTags']!(TAG);
  meta['setMetaInfoDef']!(info);
  meta['setGraphDef']!(graph);
  const model = make('SavedModel');
  model['setSavedModelSchemaVersion']!(1);
  model['addMetaGraphs']!(meta);
  return { bytes: model.serializeBinary(), tag: TAG };
}

/** @returns an output's name as nodes of the graph name their inputs */
const outputName = ({ node, index }: Output): string => (index === 0 ? node.name : `${node.name}:${index}`);

function nodeMessage({ name, op, inputs, after, attributes }: GraphNode): Message {
  const message = make('NodeDef');
  message['setName']!(name);
  message['setOp']!(op);
  message['setInputList']!([...inputs.map(outputName), ...after.map((node) => `^${node.name}`)]);
  const map = message['getAttrMap']!() as { set(key: string, value: Message): void };
  for (const [key, attribute] of attributes) map.set(key, attributeMessage(attribute));
  return message;
}

function attributeMessage(attribute: Attribute): Message {
  const message = make('AttrValue');
  switch (attribute.kind) {
    case 'type':
      message['setType']!(attribute.value);
      break;
    case 'types': {
      const List = messages['AttrValue']!['ListValue'] as MessageClass;
      const list = new List() as Message;
      list['setTypeList']!([...attribute.value]);
      message['setList']!(list);
      break;
    }
    case 'int':
      message['setI']!(attribute.value);
      break;
    case 'float':
      message['setF']!(attribute.value);
      break;
    case 'bool':
      message['setB']!(attribute.value);
      break;
    case 'string':
      message['setS']!(Buffer.from(attribute.value));
      break;
    case 'shape':
      message['setShape']!(shapeMessage(attribute.value));
      break;
    case 'tensor': {
      const { dtype, shape, bytes } = attribute.value;
      const tensor = make('Tensor');
      tensor['setDtype']!(dtype);
      tensor['setTensorShape']!(shapeMessage(shape));
      tensor['setTensorContent']!(bytes);
      message['setTensor']!(tensor);
    }
  }
  return message;
}

function shapeMessage(shape: readonly number[]): Message {
  const message = make('TensorShape');
  const Dim = messages['TensorShape']!['Dim'] as MessageClass;
  for (const size of shape) {
    const dim = new Dim() as Message;
    dim['setSize']!(size);
    message['addDim']!(dim);
  }
  return message;
}

const make = (name: string): Message => new messages[name]!() as Message;
