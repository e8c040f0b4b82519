#include "checks.h"

#include <ATen/ops/isfinite.h>

#include "qhost/error.h"

namespace qhost::ptq {

std::string slot_text(const SlotInfo& slot) {
  if (slot.role == Role::weight) return "the weight of " + slot.node;
  return "input " + std::to_string(slot.edge) + " of " + slot.node;
}

void require_finite(const std::string& method, const SlotInfo& slot, const at::Tensor& x) {
  const auto bad = x.numel() - at::isfinite(x).sum().item<std::int64_t>();
  if (bad == 0) return;
  throw Error(ErrorKind::diverged,
              method + ": " + slot_text(slot) + " holds values that are not finite, " +
                  std::to_string(bad) + " of " + std::to_string(x.numel()) +
                  ", and no code stands for them",
              "lower the learning rate; `qhost eval` on an earlier checkpoint shows when "
              "it began");
}

}  // namespace qhost::ptq
