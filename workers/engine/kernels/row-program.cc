#include "row-program.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

namespace graft {
namespace {

struct Definition {
  Kind kind;
  int operation;
  int operands;
};

const std::map<std::string, Definition> definitions = {
    {"neg", {Kind::kUnary, kNeg, 1}},          {"square", {Kind::kUnary, kSquare, 1}},
    {"sqrt", {Kind::kUnary, kSqrt, 1}},        {"rsqrt", {Kind::kUnary, kRsqrt, 1}},
    {"exp", {Kind::kUnary, kExp, 1}},          {"tanh", {Kind::kUnary, kTanh, 1}},
    {"sigmoid", {Kind::kUnary, kSigmoid, 1}},  {"round_bf16", {Kind::kUnary, kRoundToBf16, 1}},
    {"add", {Kind::kBinary, kAdd, 2}},         {"sub", {Kind::kBinary, kSub, 2}},
    {"mul", {Kind::kBinary, kMul, 2}},         {"div", {Kind::kBinary, kDiv, 2}},
    {"maximum", {Kind::kBinary, kMaximum, 2}}, {"minimum", {Kind::kBinary, kMinimum, 2}},
    {"less", {Kind::kBinary, kLess, 2}},       {"less_equal", {Kind::kBinary, kLessEqual, 2}},
    {"greater", {Kind::kBinary, kGreater, 2}}, {"greater_equal", {Kind::kBinary, kGreaterEqual, 2}},
    {"equal", {Kind::kBinary, kEqual, 2}},     {"not_equal", {Kind::kBinary, kNotEqual, 2}},
    {"sum", {Kind::kReduction, kSum, 1}},      {"mean", {Kind::kReduction, kMean, 1}},
    {"max", {Kind::kReduction, kMax, 1}},      {"min", {Kind::kReduction, kMin, 1}},
    {"select", {Kind::kSelect, 0, 3}},         {"roll", {Kind::kRoll, 0, 2}},
    {"argmax", {Kind::kArgMax, 0, 1}},         {"pick", {Kind::kPick, 0, 2}},
};

}  // namespace

std::string RowProgram::parse(const std::string &text) {
  std::istringstream words(text);
  auto operand = [&](Operand &into) {
    std::string word;
    if (!(words >> word) || word.size() < 2) return false;
    if (word[0] == 'c') {
      into = {-1, std::strtof(word.c_str() + 1, nullptr)};
      return true;
    }
    into.value = std::stoi(word.substr(1));
    return word[0] == 'v' && into.value >= 0 && into.value < static_cast<int>(full.size());
  };
  for (std::string word; words >> word;) {
    if (word == "in") {
      if (!(words >> word) || !instructions.empty()) return "malformed input";
      full.push_back(word == "full");
      inputs++;
    } else if (word == "out") {
      Operand value;
      if (!(words >> word) || !operand(value) || value.value < 0) return "malformed output";
      const Form form = word == "full" ? Form::kFull : word == "keep" ? Form::kKeep : Form::kDrop;
      if (full[value.value] != (form == Form::kFull)) return "an output whose form does not suit its value";
      outputs.push_back({form, value.value});
    } else {
      const auto found = definitions.find(word);
      if (found == definitions.end()) return "unknown instruction " + word;
      const Definition &definition = found->second;
      Instruction instruction{definition.kind, definition.operation, definition.operands, {}};
      bool any_full = false;
      for (int i = 0; i < instruction.operands; i++) {
        if (!operand(instruction.operand[i])) return "malformed operand of " + word;
        any_full = any_full || (instruction.operand[i].value >= 0 && full[instruction.operand[i].value]);
      }
      const bool reduces = instruction.kind == Kind::kReduction || instruction.kind == Kind::kArgMax || instruction.kind == Kind::kPick;
      const Operand &first = instruction.operand[0];
      if ((reduces || instruction.kind == Kind::kRoll) && (first.value < 0 || !full[first.value])) return word + " takes a whole row";
      full.push_back(any_full && !reduces);
      instructions.push_back(instruction);
    }
  }
  if (std::none_of(full.begin(), full.begin() + inputs, [](bool is_full) { return is_full; })) return "no input is a whole row";
  assign_buffers();
  return "";
}

// A value's buffer is free after its last reader. That reader may write its own result there, unless it rolls.
void RowProgram::assign_buffers() {
  std::vector<int> last_reader(full.size(), -1);
  for (size_t i = 0; i < instructions.size(); i++)
    for (int j = 0; j < instructions[i].operands; j++)
      if (instructions[i].operand[j].value >= 0) last_reader[instructions[i].operand[j].value] = static_cast<int>(i);
  for (const ProgramOutput &output : outputs) last_reader[output.value] = static_cast<int>(instructions.size());
  std::vector<int> free_full, free_row;
  auto take = [&](bool is_full) {
    std::vector<int> &free = is_full ? free_full : free_row;
    if (free.empty()) return is_full ? full_buffers++ : row_buffers++;
    const int taken = free.back();
    free.pop_back();
    return taken;
  };
  buffer.resize(full.size());
  for (int value = 0; value < inputs; value++) buffer[value] = take(full[value]);
  for (size_t i = 0; i < instructions.size(); i++) {
    const Instruction &instruction = instructions[i];
    const int result = inputs + static_cast<int>(i);
    std::vector<int> last_used;
    for (int j = 0; j < instruction.operands; j++) {
      const int value = instruction.operand[j].value;
      if (value >= 0 && last_reader[value] == static_cast<int>(i) && std::find(last_used.begin(), last_used.end(), value) == last_used.end())
        last_used.push_back(value);
    }
    auto release = [&] {
      for (const int value : last_used) (full[value] ? free_full : free_row).push_back(buffer[value]);
    };
    if (instruction.kind != Kind::kRoll) release();
    buffer[result] = take(full[result]);
    if (instruction.kind == Kind::kRoll) release();
  }
}

}  // namespace graft
