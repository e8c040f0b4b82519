#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "qhost/quantizer.h"

namespace qhost {

at::Tensor uniform_like(const Random& random, const at::Tensor& like) {
  if (!like.is_cpu()) {
    at::Generator generator = at::globalContext().defaultGenerator(like.device()).clone();
    generator.set_current_seed(random.key());
    return at::empty_like(like, like.options().dtype(at::kFloat)).uniform_(0.0, 1.0, generator);
  }
  at::Tensor numbers = at::empty(like.sizes(), like.options().dtype(at::kFloat));
  Random copy = random;
  copy.fill_uniform(numbers.data_ptr<float>(), static_cast<std::size_t>(numbers.numel()));
  return numbers.contiguous(like.suggest_memory_format());
}

}  // namespace qhost
