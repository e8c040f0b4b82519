#include "blocks.h"

#include <string>

namespace qhost::resnet {
namespace {

// The convolutions `first` .. `first + length - 1` of a block, and the shortcut around them.
struct Unit {
  int first = 1;
  int length = 2;
  std::string suffix;  // of add and shortcut: none where a block is one unit
};

std::string numbered(const char* name, int number) {
  return name + std::to_string(number);
}

Value shortcut(GraphBuilder& g, Value x, const BlockKind& kind, const std::string& name,
               std::int64_t width, std::int64_t stride) {
  if (kind.shortcut == Shortcut::a) {
    return g.subsample(name, x, {.out_channels = width, .stride = stride});
  }
  auto scope = g.scope(name);
  Value y = g.conv2d("conv", x,
                     {.out_channels = width, .kernel = 1, .stride = stride, .init = kind.init});
  return kind.preactivation ? y : g.batch_norm("bn", y);
}

Value plain_unit(GraphBuilder& g, Value x, const BlockKind& kind, const Unit& unit,
                 std::int64_t width, std::int64_t stride) {
  Value y = x;
  for (int i = unit.first; i < unit.first + unit.length; ++i) {
    if (i > unit.first) y = g.relu(numbered("relu", i - 1), y);
    y = conv3x3(g, numbered("conv", i), y, width, i == unit.first ? stride : 1, kind.init);
    y = g.batch_norm(numbered("bn", i), y);
  }
  const bool changes = stride != 1 || x.shape().channels() != width;
  const Value around = changes ? shortcut(g, x, kind, "shortcut" + unit.suffix, width, stride) : x;
  y = g.add("add" + unit.suffix, y, around);
  return g.relu(numbered("relu", unit.first + unit.length - 1), y);
}

Value preactivated_unit(GraphBuilder& g, Value x, const BlockKind& kind, const Unit& unit,
                        std::int64_t width, std::int64_t stride) {
  const bool changes = stride != 1 || x.shape().channels() != width;
  Value around = x, y = x;
  for (int i = unit.first; i < unit.first + unit.length; ++i) {
    y = g.relu(numbered("relu", i), g.batch_norm(numbered("bn", i), y));
    if (i == unit.first && changes) {
      around = shortcut(g, y, kind, "shortcut" + unit.suffix, width, stride);
    }
    y = conv3x3(g, numbered("conv", i), y, width, i == unit.first ? stride : 1, kind.init);
  }
  return g.add("add" + unit.suffix, y, around);
}

}  // namespace

Value conv3x3(GraphBuilder& g, const std::string& name, Value x, std::int64_t width,
              std::int64_t stride, Initialisation init) {
  return g.conv2d(
      name, x, {.out_channels = width, .kernel = 3, .stride = stride, .padding = 1, .init = init});
}

Value block(GraphBuilder& g, Value x, const BlockKind& kind, std::int64_t width,
            std::int64_t stride) {
  int first = 1;
  for (std::size_t i = 0; i < kind.units.size(); ++i) {
    const std::string suffix = kind.units.size() == 1 ? "" : std::to_string(i + 1);
    const Unit unit = {.first = first, .length = kind.units[i], .suffix = suffix};
    x = kind.preactivation ? preactivated_unit(g, x, kind, unit, width, stride)
                           : plain_unit(g, x, kind, unit, width, stride);
    stride = 1;
    first += unit.length;
  }
  return x;
}

}  // namespace qhost::resnet
