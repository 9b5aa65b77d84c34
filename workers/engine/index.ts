/** The engine's public API, for programs that train without the service. */
export type {
  CheckpointReport,
  DatasetFacts,
  PreparationProgress,
  Prepared,
  StepReport,
  TrainOptions,
  TrainReport,
  TrainResult,
} from './contract.ts';
export { type Dataset, type DatasetOptions, readDataset } from './data/dataset.ts';
export { type ExampleStore, inMemory } from './data/example-store.ts';
export { evaluate } from './evaluate.ts';
export { type ExportOptions, type ExportResult, exportModel } from './export/export.ts';
export type {
  ChosenProbability,
  ConversationOptions,
  GeneratedPiece,
  GeneratedText,
  GenerationModel,
  GenerationModelOptions,
  GenerationRequest,
  Sampling,
  TokenProbability,
} from './generation/contract.ts';
export { GREEDY } from './generation/contract.ts';
export { openGenerationModel } from './generation/generation-model.ts';
export type { Metrics } from './objectives/objective.ts';
export { prepare, type Run } from './prepare.ts';
export { type Delivery, prove } from './proof/prove.ts';
export { train, trainPrepared } from './train.ts';
export { trainWithLineage } from './train-with-lineage.ts';
