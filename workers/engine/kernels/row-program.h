// A program that computes rows of results from rows of inputs, as graph/row-program.ts writes it:
//
//   in full in row in full mul v0 c0.5 sum v3 sub v3 v4 out full v5 out keep v4
//
// Values are numbered in order: inputs first, then what each instruction gives. A value is a whole row, or one number a row. c1.5 is a constant.
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
  int operation = 0;  // of Unary, Binary or Reduction
  int operands = 0;
  Operand operand[3];
};

enum class Form { kFull, kKeep, kDrop };  // a whole row; one number a row, the last axis kept as 1, or dropped

struct ProgramOutput {
  Form form;
  int value;
};

struct RowProgram {
  int inputs = 0;
  std::vector<bool> full;  // by value
  std::vector<Instruction> instructions;
  std::vector<ProgramOutput> outputs;
  std::vector<int> place;  // by value: which buffer of its kind it is in; inputs have one too
  int full_buffers = 0;
  int row_buffers = 0;

  // What is wrong; empty when nothing is.
  std::string parse(const std::string &text);

 private:
  void assign_places();
};

}  // namespace graft
