#include "qhost/stateless_quantizer.h"

#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

#include "qhost/error.h"

namespace qhost {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What backward() needs besides the weight.
struct Call : torch::CustomClassHolder {
  Call(StatelessWeight& given, const SlotContext& now) : weight(given), context(now) {}
  StatelessWeight& weight;
  const SlotContext context;
};

class ThroughCodes : public torch::autograd::Function<ThroughCodes> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w,
                            const c10::intrusive_ptr<Call>& call) {
    context->save_for_backward({w});
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    const at::Tensor value = decode(call->weight.encode(call->context, w));
    return value.contiguous(w.suggest_memory_format());
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto call =
        c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    const at::Tensor w = context->get_saved_variables()[0];
    return {call->weight.gradient(call->context, w, gradients[0]), at::Tensor()};
  }
};

}  // namespace

StatelessWeight::~StatelessWeight() = default;

at::Tensor StatelessWeight::gradient(const SlotContext&, const at::Tensor&,
                                     const at::Tensor& g) const {
  return g;
}

at::Tensor StatelessWeight::forward(const SlotContext& context, const at::Tensor& latent) {
  if (!latent.defined()) {
    throw Error(ErrorKind::internal, "StatelessWeight::forward(): the weight is undefined");
  }
  return ThroughCodes::apply(latent, c10::make_intrusive<Call>(*this, context));
}

}  // namespace qhost
