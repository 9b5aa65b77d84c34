/**
 * Whether weight decay applies to a trained tensor. transformers' Trainer (`get_decay_parameter_names`) leaves out norms and biases, by the names of
 * parameters and the classes of modules. In every family those are the vectors, and only those: embeddings, matrices, A and B decay.
 */
export const decays = (shape: readonly number[]): boolean => shape.length > 1;
