/// plugins/shared/part_names.h: the names of a network's tensors in another implementation of it.
#pragma once

#include <map>
#include <sstream>
#include <string>

namespace qhost {

/// What stands in the place of a part of a tensor's name, where points divide the parts. "stage#"
/// is a part that ends with a number; "#" in its replacement is that number.
using PartNames = std::map<std::string, std::string>;

/// With {{"stage#", "layer#"}, {"block#", "#"}} "stage2.block0.bn1.bias" is "layer2.0.bn1.bias":
/// a part that no entry names stays.
inline std::string renamed(const std::string& tensor, const PartNames& names) {
  std::string result;
  std::istringstream parts(tensor);
  for (std::string part; std::getline(parts, part, '.');) {
    const std::size_t digits = part.find_last_not_of("0123456789") + 1;
    const std::string number = part.substr(digits);
    const auto found = names.find(number.empty() ? part : part.substr(0, digits) + "#");
    if (found != names.end()) {
      part = found->second;
      const std::size_t mark = part.find('#');
      if (mark != std::string::npos) part.replace(mark, 1, number);
    }
    result += (result.empty() ? "" : ".") + part;
  }
  return result;
}

}  // namespace qhost
