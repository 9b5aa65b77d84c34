#include "gpu/row-source.h"

#include <cmath>
#include <cstdio>
#include <map>

namespace graft::gpu {

namespace {

// The expression of an operation on a and b.
const char *const kUnary[kUnaryCount] = {
    "-%a", "%a * %a", "sqrtf(%a)", "1.0f / sqrtf(%a)", "expf(%a)", "tanhf(%a)", "1.0f / (1.0f + expf(-%a))", "from_bfloat16(to_bfloat16(%a))",
};
const char *const kBinary[kBinaryCount] = {
    "%a + %b",
    "%a - %b",
    "%a * %b",
    "%a / %b",
    "%a > %b ? %a : %b",
    "%a < %b ? %a : %b",
    "%a < %b ? 1.0f : 0.0f",
    "%a <= %b ? 1.0f : 0.0f",
    "%a > %b ? 1.0f : 0.0f",
    "%a >= %b ? 1.0f : 0.0f",
    "%a == %b ? 1.0f : 0.0f",
    "%a != %b ? 1.0f : 0.0f",
};
constexpr const char *kInfinity = "__int_as_float(0x7f800000)";

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  return text;
}

std::string number(int n) { return std::to_string(n); }

std::string literal(float x) {
  if (std::isinf(x)) return x < 0 ? std::string("-") + kInfinity : kInfinity;
  if (std::isnan(x)) return "__int_as_float(0x7fffffff)";
  char text[64];
  std::snprintf(text, sizeof text, "%af", static_cast<double>(x));
  return text;
}

std::string load(ElementType type, const std::string &data, const std::string &index) {
  switch (type) {
    case ElementType::kFloat:
      return "((const float *)" + data + ")[" + index + "]";
    case ElementType::kBfloat16:
      return "from_bfloat16(((const unsigned short *)" + data + ")[" + index + "])";
    case ElementType::kInt32:
      return "(float)((const int *)" + data + ")[" + index + "]";
    default:
      return "(((const unsigned char *)" + data + ")[" + index + "] != 0 ? 1.0f : 0.0f)";
  }
}

std::string store(ElementType type, const std::string &data, const std::string &index, const std::string &value) {
  switch (type) {
    case ElementType::kFloat:
      return "((float *)" + data + ")[" + index + "] = " + value + ";\n";
    case ElementType::kBfloat16:
      return "((unsigned short *)" + data + ")[" + index + "] = to_bfloat16(" + value + ");\n";
    case ElementType::kInt32:
      return "((int *)" + data + ")[" + index + "] = (int)" + value + ";\n";
    default:
      return "((unsigned char *)" + data + ")[" + index + "] = " + value + " != 0.0f;\n";
  }
}

class Writer {
 public:
  Writer(const RowProgram &program, const std::vector<ElementType> &inputs, const std::vector<ElementType> &outputs)
      : program_(program), inputs_(inputs), outputs_(outputs) {}

  std::string write() {
    text_ = "struct Input { const void *data; unsigned dense, steps[" + number(kRowAxes) + "]; };\n";
    text_ += "struct Arguments { long long columns; int axes, unused; unsigned sizes[" + number(kRowAxes + 1) + "]; Input inputs[" +
             number(program_.inputs) + "]; void *outputs[" + number(static_cast<int>(outputs_.size())) + "]; };\n";
    text_ += R"cuda(__device__ long long row_of(const Arguments &a, const Input &input, unsigned row) {
  if (input.dense) return row;
  long long result = 0;
  for (int axis = a.axes; axis-- > 0; row /= a.sizes[axis]) result += (long long)(row % a.sizes[axis]) * input.steps[axis];
  return result;
}
extern "C" __global__ void rows(const Arguments a) {
  const int columns = (int)a.columns;
  const long long row = blockIdx.x;
)cuda";
    for (int i = 0; i < program_.inputs; i++) {
      const std::string input = "a.inputs[" + number(i) + "]", first = "row_of(a, " + input + ", blockIdx.x)";
      if (program_.full[i])
        text_ += "const long long i" + number(i) + " = " + first + " * columns;\n";
      else
        text_ += "const float v" + number(i) + " = " + load(inputs_[i], input + ".data", first) + ";\n";
    }
    for (size_t i = 0; i < program_.instructions.size(); i++) row_instruction(program_.inputs + static_cast<int>(i));
    flush();
    write_outputs();
    return text_ + "}\n";
  }

 private:
  // Statements of a loop over columns, with the values that they have computed at each column.
  struct Body {
    std::string text;
    std::map<std::pair<std::string, int>, std::string> known;  // by column and value
  };

  const RowProgram &program_;
  const std::vector<ElementType> &inputs_, &outputs_;
  std::string text_;
  std::vector<int> pending_;  // sums, means, largest and smallest elements that one loop computes
  int names_ = 0;

  const Instruction &instruction(int value) const { return program_.instructions[value - program_.inputs]; }
  bool is_full(const Operand &operand) const { return operand.value >= 0 && program_.full[operand.value]; }

  // Whether a value depends on one that the pending loop computes.
  bool is_pending(int value) const {
    std::vector<bool> depends(value + 1);
    for (const int pending : pending_)
      if (pending <= value) depends[pending] = true;
    for (int later = program_.inputs; later <= value; later++) {
      const Instruction &of = instruction(later);
      for (int i = 0; i < of.operands; i++)
        if (of.operand[i].value >= 0 && depends[of.operand[i].value]) depends[later] = true;
    }
    return depends[value];
  }

  // Computes a value of which there is one for each row. The others are computed at each column, where they are read.
  void row_instruction(int value) {
    if (program_.full[value]) return;
    const Instruction &of = instruction(value);
    for (int i = 0; i < of.operands; i++)
      if (of.operand[i].value >= 0 && is_pending(of.operand[i].value)) flush();
    const std::string name = "v" + number(value);
    switch (of.kind) {
      case Kind::kReduction:
        pending_.push_back(value);
        break;
      case Kind::kArgMax:
        arg_max(of, name);
        break;
      case Kind::kPick: {
        Body body;
        const std::string picked = at("at" + name, of.operand[0].value, &body);
        text_ += "float " + name + " = 0.0f;\n{ const int at" + name + " = (int)" + scalar(of.operand[1]) + ";\nif (at" + name + " >= 0 && at" +
                 name + " < columns) {\n" + body.text + name + " = " + picked + "; } }\n";
        break;
      }
      default:
        text_ += "const float " + name + " = " + expression(of, [&](const Operand &operand) { return scalar(operand); }) + ";\n";
    }
  }

  std::string scalar(const Operand &operand) const { return operand.value < 0 ? literal(operand.constant) : "v" + number(operand.value); }

  template <class Name>
  std::string expression(const Instruction &of, const Name &name) const {
    std::string operands[3];
    for (int i = 0; i < of.operands; i++) operands[i] = name(of.operand[i]);
    if (of.kind == Kind::kSelect) return operands[0] + " != 0.0f ? " + operands[1] + " : " + operands[2];
    return replaced(replaced(of.kind == Kind::kUnary ? kUnary[of.operation] : kBinary[of.operation], "%a", operands[0]), "%b", operands[1]);
  }

  // Adds to the body what computes a full value at a column. @return its name
  std::string at(const std::string &column, int value, Body *body) {
    if (!program_.full[value]) return "v" + number(value);
    std::string &name = body->known[{column, value}];
    if (!name.empty()) return name;
    std::string computed;
    if (value < program_.inputs) {
      computed = load(inputs_[value], "a.inputs[" + number(value) + "].data", "i" + number(value) + " + " + column);
    } else if (instruction(value).kind == Kind::kRoll) {
      const Instruction &of = instruction(value);
      const std::string from = "c" + number(names_++), shift = number(static_cast<int>(of.operand[1].constant));
      body->text += "int " + from + " = (" + column + " - " + shift + ") % columns;\nif (" + from + " < 0) " + from + " += columns;\n";
      computed = at(from, of.operand[0].value, body);
    } else {
      computed = expression(instruction(value),
                            [&](const Operand &operand) { return operand.value < 0 ? literal(operand.constant) : at(column, operand.value, body); });
    }
    const std::string made = "x" + number(names_++);
    body->text += "const float " + made + " = " + computed + ";\n";
    return body->known[{column, value}] = made;
  }

  std::string loop(const std::string &body) const { return "for (int c = threadIdx.x; c < columns; c += blockDim.x) {\n" + body + "}\n"; }

  static const char *combine(int operation) { return operation == kMax ? "Largest" : operation == kMin ? "Smallest" : "Sum"; }
  static std::string identity(int operation) { return operation == kMax ? std::string("-") + kInfinity : operation == kMin ? kInfinity : "0.0f"; }

  void flush() {
    if (pending_.empty()) return;
    Body body;
    std::string before, within, after;
    for (const int value : pending_) {
      const Instruction &of = instruction(value);
      const std::string part = "p" + number(value), name = at("c", of.operand[0].value, &body);
      before += "float " + part + " = " + identity(of.operation) + ";\n";
      within += part + " = " + combine(of.operation) + "::of(" + name + ", " + part + ");\n";
      after += "const float v" + number(value) + " = over_block<" + combine(of.operation) + ">(" + part + ")" +
               (of.operation == kMean ? " / (float)columns" : "") + ";\n";
    }
    text_ += before + loop(body.text + within) + after;
    pending_.clear();
  }

  // The first column of the largest element; 0 if one is no number.
  void arg_max(const Instruction &of, const std::string &name) {
    flush();
    Body first, second;
    const std::string x = at("c", of.operand[0].value, &first);
    text_ += "float l" + name + " = " + identity(kMax) + ";\n" + loop(first.text + "l" + name + " = Largest::of(" + x + ", l" + name + ");\n");
    text_ += "l" + name + " = over_block<Largest>(l" + name + ");\nfloat f" + name + " = (float)columns;\n";
    const std::string y = at("c", of.operand[0].value, &second);
    text_ += loop(second.text + "if (" + y + " == l" + name + ") f" + name + " = Smallest::of((float)c, f" + name + ");\n");
    text_ +=
        "f" + name + " = over_block<Smallest>(f" + name + ");\nconst float " + name + " = f" + name + " == (float)columns ? 0.0f : f" + name + ";\n";
  }

  void write_outputs() {
    Body body;
    std::string stores, of_rows;
    for (size_t i = 0; i < program_.outputs.size(); i++) {
      const auto [form, value] = program_.outputs[i];
      const std::string data = "a.outputs[" + number(static_cast<int>(i)) + "]";
      if (form == Form::kFull)
        stores += store(outputs_[i], data, "row * columns + c", at("c", value, &body));
      else
        of_rows += store(outputs_[i], data, "row", "v" + number(value));
    }
    if (!stores.empty()) text_ += loop(body.text + stores);
    if (!of_rows.empty()) text_ += "if (threadIdx.x == 0) {\n" + of_rows + "}\n";
  }
};

}  // namespace

std::string row_source(const RowProgram &program, const std::vector<ElementType> &inputs, const std::vector<ElementType> &outputs) {
  return Writer(program, inputs, outputs).write();
}

}  // namespace graft::gpu
