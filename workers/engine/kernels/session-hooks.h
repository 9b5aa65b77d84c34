// Included before the binding's sources, which make every session with TF_NewSessionOptions() and run it without options. What they cannot say is
// said by environment variables:
//   TF_SESSION_CONFIG  a ConfigProto in hexadecimal, of every session made;
//   TF_SESSION_TRACE   a path, looked at before each run: the run's RunMetadata is written there, with when each operation began and ended.
#pragma once

#include "tensorflow/c/c_api.h"

TF_SessionOptions *SessionOptionsFromEnvironment();
void SessionRunTracedIfAsked(TF_Session *session, const TF_Buffer *run_options, const TF_Output *inputs, TF_Tensor *const *input_values, int ninputs,
                             const TF_Output *outputs, TF_Tensor **output_values, int noutputs, const TF_Operation *const *targets, int ntargets,
                             TF_Buffer *run_metadata, TF_Status *status);

#define TF_NewSessionOptions SessionOptionsFromEnvironment
#define TF_SessionRun SessionRunTracedIfAsked
