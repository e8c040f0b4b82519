#include "model/backward_watch.h"

#include <ATen/SequenceNumber.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>

#include <limits>
#include <set>
#include <utility>
#include <vector>

namespace qhost {
namespace {

using torch::autograd::FunctionPostHook;
using torch::autograd::FunctionPreHook;
using AutogradNode = torch::autograd::Node;  // not the graph's
using torch::autograd::variable_list;

class Begin : public FunctionPreHook {
 public:
  Begin(std::shared_ptr<BackwardWatch> watch, const PlannedSlot* slot)
      : watch_(std::move(watch)), slot_(slot) {}
  variable_list operator()(const variable_list& gradients) override {
    watch_->note(slot_);
    return gradients;
  }

 private:
  std::shared_ptr<BackwardWatch> watch_;
  const PlannedSlot* slot_;
};

class End : public FunctionPostHook {
 public:
  explicit End(std::shared_ptr<BackwardWatch> watch) : watch_(std::move(watch)) {}
  variable_list operator()(const variable_list& outputs, const variable_list&) override {
    watch_->note(nullptr);
    return outputs;
  }

 private:
  std::shared_ptr<BackwardWatch> watch_;
};

}  // namespace

std::uint64_t BackwardWatch::next_node() {
  return at::sequence_number::peek();
}

void BackwardWatch::watch(const at::Tensor& value, std::uint64_t first, const PlannedSlot& slot) {
  if (!value.defined() || !value.requires_grad()) return;
  std::vector<AutogradNode*> open = {value.grad_fn().get()};
  std::set<AutogradNode*> seen;
  while (!open.empty()) {
    AutogradNode* node = open.back();
    open.pop_back();
    // Leaves have the largest number that there is, whenever they were made.
    if (node == nullptr || node->sequence_nr() < first ||
        node->sequence_nr() == std::numeric_limits<std::uint64_t>::max() ||
        !seen.insert(node).second) {
      continue;
    }
    node->add_pre_hook(std::make_unique<Begin>(shared_from_this(), &slot));
    node->add_post_hook(std::make_unique<End>(shared_from_this()));
    for (const auto& edge : node->next_edges()) open.push_back(edge.function.get());
  }
}

}  // namespace qhost
