#include "sdk/diagnose.h"

#include <algorithm>
#include <array>

#include "sdk/describe.h"

namespace qhost {
namespace {

std::string file_name(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

using Cells = std::array<std::string, 4>;  // label and name, operation, shape, place

Cells cells_of(const Operand& operand) {
  if (operand.node == nullptr) return {operand.label + " = " + operand.absent, "", "", ""};
  const Node& node = *operand.node;
  return {operand.label + " = " + node.name, describe(node), "-> " + to_string(node.shape),
          file_name(node.file) + ":" + std::to_string(node.line)};
}

std::string aligned(const std::vector<Operand>& operands) {
  std::vector<Cells> rows;
  std::array<std::size_t, std::tuple_size_v<Cells>> widths = {};
  for (const Operand& operand : operands) {
    rows.push_back(cells_of(operand));
    if (operand.node == nullptr) continue;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], rows.back()[i].size());
    }
  }
  std::string text;
  for (const Cells& row : rows) {
    std::string line = " ";
    for (std::size_t i = 0; i < widths.size(); ++i) {
      line += (i == 0 ? " " : "  ") + row[i];
      if (row[i].size() < widths[i]) line.append(widths[i] - row[i].size(), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += "\n" + printable(std::move(line));
  }
  return text;
}

}  // namespace

Error node_error(const SourcePlace& place, const std::string& path, const std::string& operation,
                 const std::string& sentence, const std::vector<Operand>& operands,
                 const std::string& help) {
  const std::string own_name = path.substr(path.find_last_of('.') + 1);
  const bool shown = own_name.find(operation) != std::string::npos;
  std::string first = place.file + ":" + std::to_string(place.line) + ":" +
                      std::to_string(place.column) + ": error: " + path;
  if (!shown) first += " (" + operation + ")";
  first += ": " + sentence;
  return Error(ErrorKind::configuration, printable(std::move(first)) + aligned(operands),
               printable(help));
}

}  // namespace qhost
