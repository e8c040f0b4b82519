/// model/backward_watch.h: which plugin's part of a backward pass is running. Private to model/.
///
/// A method's own autograd functions run in LibTorch's backward pass, where the host makes no call
/// that it could guard. So each node that a slot's forward() added to the graph notes its slot when
/// it begins and takes the note back when it ends: what an exception leaves is where it was thrown.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "model/plan.h"

namespace qhost {

class BackwardWatch : public std::enable_shared_from_this<BackwardWatch> {
 public:
  /// To be asked before a forward(): the number that the next node will get.
  static std::uint64_t next_node();
  /// Watches the nodes numbered from `first` on that lead to `value`. `slot` outlives the pass.
  void watch(const at::Tensor& value, std::uint64_t first, const PlannedSlot& slot);
  /// The slot whose node is running, or null.
  const PlannedSlot* running() const { return running_.load(); }
  void note(const PlannedSlot* slot) { running_.store(slot); }

 private:
  std::atomic<const PlannedSlot*> running_ = nullptr;  // the pass of a GPU has a thread of its own
};

}  // namespace qhost
