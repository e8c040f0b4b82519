#include "conformance/slots.h"

#include <utility>

namespace qhost::conformance {
namespace {

constexpr std::int64_t side = 8, window = 9;

Slot slot_of(Op op, Role role) {
  Slot slot;
  slot.name = std::string(to_string(op)) + " " + to_string(role);
  slot.info.node = "layer";
  slot.info.op = op;
  slot.info.role = role;
  return slot;
}

}  // namespace

Slot affine_slot(Op op, Role role, std::int64_t in, std::int64_t out) {
  Slot slot = slot_of(op, role);
  SlotInfo& info = slot.info;
  const bool conv = op == Op::conv2d;
  if (conv) {
    info.kernel = 3;
    info.padding = 1;
  }
  info.fan_in = conv ? in * window : in;
  info.fan_out = conv ? out * window : out;
  if (role == Role::weight) {
    info.shape = conv ? std::vector<std::int64_t>{out, in, 3, 3} : std::vector{out, in};
    return slot;
  }
  info.shape = {role == Role::input ? in : out};
  if (conv) info.shape.insert(info.shape.end(), {side, side});
  return slot;
}

Slot joining_slot(Op op) {
  Slot slot = slot_of(op, Role::input);
  slot.info.shape = {6, side, side};
  if (op == Op::max_pool || op == Op::average_pool) {
    slot.info.kernel = 2;
    slot.info.stride = 2;
  }
  return slot;
}

Slot as_first(Slot slot) {
  slot.name = "first " + slot.name;
  slot.info.first = true;
  return slot;
}

Slot as_last(Slot slot) {
  slot.name = "last " + slot.name;
  slot.info.last = true;
  return slot;
}

Slot non_negative(Slot slot) {
  slot.name = "non-negative " + slot.name;
  slot.info.non_negative = true;
  return slot;
}

SlotContext context_of(const SlotInfo& slot, Mode mode, std::int64_t step) {
  SlotContext context;
  context.slot = &slot;
  context.mode = mode;
  context.step = step;
  context.steps = 100;
  context.epochs = 2;
  context.seed = 12;
  return context;
}

}  // namespace qhost::conformance
