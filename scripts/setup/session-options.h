// Included before the binding's sources, which make every session with TF_NewSessionOptions() and know no way to say more:
// the environment variable TF_SESSION_CONFIG, a ConfigProto in hexadecimal, is what they would say.
#pragma once

#include <cstdlib>
#include <string>

#include "tensorflow/c/c_api.h"

inline TF_SessionOptions *SessionOptionsFromEnvironment() {
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *hex = std::getenv("TF_SESSION_CONFIG");
  if (hex == nullptr) return options;
  std::string bytes;
  for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) bytes.push_back(static_cast<char>(std::strtol(std::string(hex, 2).c_str(), nullptr, 16)));
  TF_Status *status = TF_NewStatus();
  TF_SetConfig(options, bytes.data(), bytes.size(), status);  // what cannot be read changes nothing
  TF_DeleteStatus(status);
  return options;
}

#define TF_NewSessionOptions SessionOptionsFromEnvironment
