#include "qhost/ste.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/le.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/round.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "qhost/dense.h"
#include "qhost/error.h"

namespace qhost::ste {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

[[noreturn]] void refuse(const char* function, const std::string& why) {
  throw Error(ErrorKind::internal, std::string("ste::") + function + "(): " + why);
}

/// An undefined tensor must not reach Function::apply(), which would take its properties.
const at::Tensor& defined(const char* function, const at::Tensor& x) {
  if (!x.defined()) refuse(function, "the tensor is undefined");
  return x;
}

void require_shape(const char* function, const char* what, const at::Tensor& given,
                   const at::Tensor& x) {
  defined(function, given);
  if (given.sizes() == x.sizes()) return;
  std::ostringstream why;
  why << what << " has the shape " << given.sizes() << ", x has " << x.sizes();
  refuse(function, why.str());
}

void require_mask(const char* function, const at::Tensor& inside, const at::Tensor& x) {
  require_shape(function, "the mask", inside, x);
  if (inside.scalar_type() == at::kBool) return;
  refuse(function, std::string("the mask is ") + at::toString(inside.scalar_type()) + ", not Bool");
}

void require_zero(const char* function, int of_zero) {
  if (of_zero == 1 || of_zero == -1) return;
  refuse(function, "of_zero is " + std::to_string(of_zero) + ", neither +1 nor -1");
}

struct ValueAndMask {
  at::Tensor value, inside;
};

/// Both of each element, in one pass over plain memory.
template <class Value, class Inside>
ValueAndMask in_one_pass(const at::Tensor& given, Value value_of, Inside is_inside) {
  const at::Tensor x = dense::without_gaps(given);
  ValueAndMask result = {dense::like(x, at::kFloat), dense::like(x, at::kBool)};
  const float* from = x.const_data_ptr<float>();
  auto* value = result.value.mutable_data_ptr<float>();
  auto* inside = result.inside.mutable_data_ptr<bool>();
  dense::loop(x, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      value[i] = value_of(from[i]);
      inside[i] = is_inside(from[i]);
    }
  });
  return result;
}

/// Adding 0 turns -0 into +0, whose sign is the one of both zeros.
template <int of_zero>
float sign_of(float x) {
  if constexpr (of_zero > 0) return std::copysign(1.0F, x + 0.0F);
  return -std::copysign(1.0F, 0.0F - x);
}

template <int of_zero>
at::Tensor plain_sign(const at::Tensor& given) {
  const at::Tensor x = dense::without_gaps(given);
  at::Tensor result = dense::like(x, at::kFloat);
  const float* from = x.const_data_ptr<float>();
  auto* to = result.mutable_data_ptr<float>();
  dense::loop(x, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) to[i] = sign_of<of_zero>(from[i]);
  });
  return result;
}

ValueAndMask clipped_sign(const at::Tensor& x, double bound, int of_zero) {
  if (!dense::is_plain(x)) return {sign(x, of_zero), at::le(at::abs(x), bound)};
  const auto largest = static_cast<float>(bound);
  const auto inside = [largest](float v) { return std::abs(v) <= largest; };
  // Lambdas: behind a pointer to a function the loop would call it value by value.
  return of_zero > 0 ? in_one_pass(
                           x, [](float v) { return sign_of<1>(v); }, inside)
                     : in_one_pass(
                           x, [](float v) { return sign_of<-1>(v); }, inside);
}

ValueAndMask clipped(const at::Tensor& x, double low, double high) {
  if (!dense::is_plain(x)) {
    return {at::clamp(x, low, high), at::ge(x, low).logical_and_(at::le(x, high))};
  }
  const auto from = static_cast<float>(low), to = static_cast<float>(high);
  // A comparison keeps a NaN.
  return in_one_pass(
      x, [=](float v) { return v < from ? from : (v > to ? to : v); },
      [=](float v) { return v >= from && v <= to; });
}

/// A tensor that apply() must not take for an input of the node, as it does each at::Tensor.
struct Held {
  at::Tensor tensor;
};

class Identity : public torch::autograd::Function<Identity> {
 public:
  static at::Tensor forward(AutogradContext*, const at::Tensor& /*x*/, const Held& value) {
    return value.tensor;
  }
  static variable_list backward(AutogradContext*, const variable_list& gradients) {
    return {gradients[0], at::Tensor()};
  }
};

class Masked : public torch::autograd::Function<Masked> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& /*x*/, const Held& value,
                            const Held& inside) {
    context->save_for_backward({inside.tensor});
    return value.tensor;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {masked(gradients[0], context->get_saved_variables()[0]), at::Tensor(), at::Tensor()};
  }
};

/// variable_data(): the same memory under a tensor of its own, so that recording the node leaves
/// the caller's as it is.
at::Tensor with_identity(const at::Tensor& x, const at::Tensor& value) {
  return Identity::apply(x, Held{value.variable_data()});
}

at::Tensor with_mask(const at::Tensor& x, const ValueAndMask& result) {
  return Masked::apply(x, Held{result.value.variable_data()}, Held{result.inside});
}

}  // namespace

at::Tensor sign(const at::Tensor& given, int of_zero) {
  require_zero("sign", of_zero);
  const at::Tensor x = defined("sign", given).detach();
  if (dense::is_plain(x)) return of_zero > 0 ? plain_sign<1>(x) : plain_sign<-1>(x);
  const at::Tensor one = at::ones({}, x.options());
  if (of_zero > 0) return at::copysign(one, at::add(x, 0));
  return at::copysign(one, at::add(at::mul(x, -1), 0)).neg_();
}

at::Tensor sign_codes(const at::Tensor& given, int of_zero) {
  require_zero("sign_codes", of_zero);
  const at::Tensor x = defined("sign_codes", given).detach();
  return (of_zero > 0 ? at::ge(x, 0) : at::gt(x, 0)).to(at::kByte);
}

at::Tensor sign_identity(const at::Tensor& x, int of_zero) {
  return with_identity(defined("sign_identity", x), sign(x, of_zero));
}

at::Tensor sign_clipped(const at::Tensor& x, double bound, int of_zero) {
  require_zero("sign_clipped", of_zero);
  return with_mask(x, clipped_sign(defined("sign_clipped", x).detach(), bound, of_zero));
}

at::Tensor round_identity(const at::Tensor& x) {
  return with_identity(x, at::round(defined("round_identity", x).detach()));
}

at::Tensor clip(const at::Tensor& x, double low, double high) {
  if (!(low <= high)) {
    std::ostringstream why;
    why << "low is " << low << ", above high, which is " << high;
    refuse("clip", why.str());
  }
  return with_mask(x, clipped(defined("clip", x).detach(), low, high));
}

at::Tensor straight_through(const at::Tensor& x, const at::Tensor& y) {
  require_shape("straight_through", "y", y, defined("straight_through", x));
  return with_identity(x, y);
}

at::Tensor straight_through(const at::Tensor& x, const at::Tensor& y, const at::Tensor& inside) {
  require_shape("straight_through", "y", y, defined("straight_through", x));
  require_mask("straight_through", inside, x);
  return with_mask(x, {y, inside});
}

at::Tensor masked(const at::Tensor& given, const at::Tensor& inside) {
  require_mask("masked", inside, defined("masked", given));
  if (!dense::is_plain(given)) return at::where(inside, given, at::zeros({}, given.options()));
  const at::Tensor mask = dense::without_gaps(inside);
  const at::Tensor gradient = dense::in_order_of(mask, given);
  at::Tensor result = dense::like(gradient, at::kFloat);
  const float* from = gradient.const_data_ptr<float>();
  const bool* keep = mask.const_data_ptr<bool>();
  auto* to = result.mutable_data_ptr<float>();
  dense::loop(result, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) to[i] = dense::kept_if(keep[i], from[i]);
  });
  return result;
}

at::Tensor filter_mean(const at::Tensor& w) {
  if (defined("filter_mean", w).dim() == 0) refuse("filter_mean", "a scalar has no filters");
  const at::Tensor rows = w.dim() == 1 ? w.unsqueeze(1) : w;
  std::vector<std::int64_t> of_filter;
  for (std::int64_t d = 1; d < rows.dim(); ++d) of_filter.push_back(d);
  const std::int64_t size = rows.numel() / std::max<std::int64_t>(rows.size(0), 1);
  return at::sum(rows, of_filter, false, at::kDouble).div_(size).to(at::kFloat);
}

at::Tensor along(const at::Tensor& values, const at::Tensor& like, std::int64_t dimension) {
  if (defined("along", values).numel() == 1) return values.reshape({});
  if (dimension < 0 || dimension >= defined("along", like).dim() ||
      values.numel() != like.size(dimension)) {
    std::ostringstream why;
    why << values.numel() << " values do not lie along dimension " << dimension << " of "
        << like.sizes();
    refuse("along", why.str());
  }
  std::vector<std::int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape[static_cast<std::size_t>(dimension)] = values.numel();
  return values.reshape(shape);
}

}  // namespace qhost::ste
