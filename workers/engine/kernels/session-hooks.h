// Included before the sources of TensorFlow.js's binding, where these functions replace three calls of TensorFlow.
// The binding creates every session with TF_NewSessionOptions() and runs it without options; here the options come from environment variables:
//   TF_SESSION_CONFIG  a ConfigProto in hexadecimal, for every session;
//   TF_SESSION_TRACE   a path, read before each run: the run's RunMetadata is written there, with the start and the end of each operation.
// It makes a tensor of a JavaScript array with TF_NewTensor(), which shares the array's memory where that happens to be aligned. An optimizer would
// then write into the array, and the thread that drops the tensor last, one of TensorFlow's, would delete the array's Node-API reference, which only
// JavaScript's thread may do (https://nodejs.org/api/n-api.html#napi_delete_reference); here the array is always copied, and its reference deleted at
// once.
#pragma once

#include "tensorflow/c/c_api.h"

TF_SessionOptions *SessionOptionsFromEnvironment();
void SessionRunTracedIfAsked(TF_Session *session, const TF_Buffer *run_options, const TF_Output *inputs, TF_Tensor *const *input_values, int ninputs,
                             const TF_Output *outputs, TF_Tensor **output_values, int noutputs, const TF_Operation *const *targets, int ntargets,
                             TF_Buffer *run_metadata, TF_Status *status);
TF_Tensor *CopiedTensor(TF_DataType dtype, const int64_t *shape, int rank, void *data, size_t bytes,
                        void (*deallocate)(void *data, size_t bytes, void *argument), void *argument);

#define TF_NewSessionOptions SessionOptionsFromEnvironment
#define TF_SessionRun SessionRunTracedIfAsked
#define TF_NewTensor CopiedTensor
