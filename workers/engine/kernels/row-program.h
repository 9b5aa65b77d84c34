// A program that computes rows of results from rows of inputs, as rewriting/row-program.ts writes it:
//
//   in full in row in full mul v0 c0.5 sum v3 sub v3 v4 out full v5 out keep v4
//
// Values are numbered in order: first the inputs, then the result of each instruction. A value is a whole row (full) or one element per row (row).
// c1.5 is a constant.
#pragma once

#include <string>
#include <vector>

#include "per-instruction-set/tile-operations.h"

namespace graft {

enum class Kind { kUnary, kBinary, kReduction, kSelect, kRoll, kArgMax, kPick };

struct Operand {
  int value = -1;  // −1: the constant
  float constant = 0;
};

struct Instruction {
  Kind kind;
  int operation = 0;  // a Unary, Binary or Reduction
  int operands = 0;
  Operand operand[3];
};

// A whole row; or one element per row, with the last axis kept as 1, or dropped.
enum class Form { kFull, kKeep, kDrop };

struct ProgramOutput {
  Form form;
  int value;
};

struct RowProgram {
  int inputs = 0;
  std::vector<bool> full;  // by value
  std::vector<Instruction> instructions;
  std::vector<ProgramOutput> outputs;
  std::vector<int> buffer;  // by value: its buffer among the full ones, or among the row ones
  int full_buffers = 0;
  int row_buffers = 0;

  // @return what is wrong with the text; empty if nothing is
  std::string parse(const std::string &text);

 private:
  void assign_buffers();
};

}  // namespace graft
