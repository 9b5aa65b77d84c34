// Included before the sources of TensorFlow.js's binding. They create every session with TF_NewSessionOptions() and run it without options; these
// functions replace the two calls and take the options from environment variables:
//   TF_SESSION_CONFIG  a ConfigProto in hexadecimal, for every session;
//   TF_SESSION_TRACE   a path, read before each run: the run's RunMetadata is written there, with the start and the end of each operation.
#pragma once

#include "tensorflow/c/c_api.h"

TF_SessionOptions *SessionOptionsFromEnvironment();
void SessionRunTracedIfAsked(TF_Session *session, const TF_Buffer *run_options, const TF_Output *inputs, TF_Tensor *const *input_values, int ninputs,
                             const TF_Output *outputs, TF_Tensor **output_values, int noutputs, const TF_Operation *const *targets, int ntargets,
                             TF_Buffer *run_metadata, TF_Status *status);

#define TF_NewSessionOptions SessionOptionsFromEnvironment
#define TF_SessionRun SessionRunTracedIfAsked
