#include "blocks.h"

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

// Means of stride x stride pixels. A row or column too many, which a convolution of that stride
// keeps, has a window of its own.
Value pooled(GraphBuilder& g, Value x, std::int64_t stride) {
  const Shape& shape = x.shape();
  return g.average_pool("pool", x,
                        {.kernel = stride,
                         .stride = stride,
                         .padding = {shape.height() % stride, shape.width() % stride}});
}

Value shortcut(GraphBuilder& g, Value x, const BlockKind& kind, const std::string& name,
               std::int64_t width, std::int64_t stride) {
  if (kind.shortcut == Shortcut::a) {
    return g.subsample(name, x, {.out_channels = width, .stride = stride});
  }
  auto scope = g.scope(name);
  if (kind.real_shortcut && stride > 1) {
    x = pooled(g, x, stride);
    stride = 1;
  }
  Value y = g.conv2d("conv", x,
                     {.out_channels = width, .kernel = 1, .stride = stride, .init = kind.init});
  return kind.order == Order::b_a_c ? y : g.batch_norm("bn", y);
}

bool changes_shape(Value x, std::int64_t width, std::int64_t stride) {
  return stride != 1 || x.shape().channels() != width;
}

// Order c_b_a.
Value plain_unit(GraphBuilder& g, Value x, const BlockKind& kind, const Unit& unit,
                 std::int64_t width, std::int64_t stride) {
  Value y = x;
  for (int i = unit.first; i < unit.first + unit.length; ++i) {
    if (i > unit.first) y = activate(g, y, kind.activation, std::to_string(i - 1));
    y = conv3x3(g, numbered("conv", i), y, width, i == unit.first ? stride : 1, kind.init);
    y = g.batch_norm(numbered("bn", i), y);
  }
  const Value around = changes_shape(x, width, stride)
                           ? shortcut(g, x, kind, "shortcut" + unit.suffix, width, stride)
                           : x;
  y = g.add("add" + unit.suffix, y, around);
  return activate(g, y, kind.activation, std::to_string(unit.first + unit.length - 1));
}

// Order b_a_c. A shortcut that changes the shape reads the first activation unless it is real.
Value preactivated_unit(GraphBuilder& g, Value x, const BlockKind& kind, const Unit& unit,
                        std::int64_t width, std::int64_t stride) {
  Value around = x, y = x;
  for (int i = unit.first; i < unit.first + unit.length; ++i) {
    y = g.batch_norm(numbered("bn", i), y);
    y = activate(g, y, kind.activation, std::to_string(i));
    if (i == unit.first && changes_shape(x, width, stride)) {
      around =
          shortcut(g, kind.real_shortcut ? x : y, kind, "shortcut" + unit.suffix, width, stride);
    }
    y = conv3x3(g, numbered("conv", i), y, width, i == unit.first ? stride : 1, kind.init);
  }
  return g.add("add" + unit.suffix, y, around);
}

// Order a_c_b.
Value normalized_unit(GraphBuilder& g, Value x, const BlockKind& kind, const Unit& unit,
                      std::int64_t width, std::int64_t stride) {
  Value y = x;
  for (int i = unit.first; i < unit.first + unit.length; ++i) {
    y = activate(g, y, kind.activation, std::to_string(i));
    y = conv3x3(g, numbered("conv", i), y, width, i == unit.first ? stride : 1, kind.init);
    y = g.batch_norm(numbered("bn", i), y);
  }
  const Value around = changes_shape(x, width, stride)
                           ? shortcut(g, x, kind, "shortcut" + unit.suffix, width, stride)
                           : x;
  return g.add("add" + unit.suffix, y, around);
}

Value one_unit(GraphBuilder& g, Value x, const BlockKind& kind, const Unit& unit,
               std::int64_t width, std::int64_t stride) {
  switch (kind.order) {
    case Order::c_b_a:
      return plain_unit(g, x, kind, unit, width, stride);
    case Order::b_a_c:
      return preactivated_unit(g, x, kind, unit, width, stride);
    case Order::a_c_b:
      break;
  }
  return normalized_unit(g, x, kind, unit, width, stride);
}

}  // namespace

Shortcut shortcut_of(const Options& options) {
  const std::string& option = options.string("shortcut");
  const bool is_a = option == "auto" ? options.string("family") == "cifar" : option == "A";
  return is_a ? Shortcut::a : Shortcut::b;
}

Value conv3x3(GraphBuilder& g, const std::string& name, Value x, std::int64_t width,
              std::int64_t stride, Initialization init) {
  return g.conv2d(
      name, x, {.out_channels = width, .kernel = 3, .stride = stride, .padding = 1, .init = init});
}

Value activate(GraphBuilder& g, Value x, Activation kind, const std::string& number) {
  return g.activation(to_string(kind) + number, x, {.kind = kind});
}

Value block(GraphBuilder& g, Value x, const BlockKind& kind, std::int64_t width,
            std::int64_t stride) {
  int first = 1;
  for (std::size_t i = 0; i < kind.units.size(); ++i) {
    const std::string suffix = kind.units.size() == 1 ? "" : std::to_string(i + 1);
    const Unit unit = {.first = first, .length = kind.units[i], .suffix = suffix};
    x = one_unit(g, x, kind, unit, width, stride);
    stride = 1;
    first += unit.length;
  }
  return x;
}

}  // namespace qhost::resnet
