/**
 * Whether weight decay applies to a trained tensor. transformers' Trainer (`get_decay_parameter_names`) leaves out norms and biases, by the names of
 * parameters and the classes of modules. In every family those are the vectors, and only those: embeddings, matrices, A and B decay. So do DoRA's
 * magnitudes, the A_log of delta nets and Mamba layers and the D of the latter, vectors whose names say neither.
 */
export const decays = (shape: readonly number[], name: string): boolean =>
  shape.length > 1 || ['.lora_magnitude_vector', '.A_log', '.D'].some((end) => name.endsWith(end));
