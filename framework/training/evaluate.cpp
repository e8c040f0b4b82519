#include "training/evaluate.h"

#include <algorithm>

#include "data/batcher.h"
#include "training/batch.h"

namespace qhost::training {

MetricsResult evaluate(Model& model, const data::Split& split, const Shape& image,
                       std::int64_t classes, const data::AugmentOptions& normalisation,
                       std::int64_t batch_size, const LossFunction& loss,
                       const RunPosition& position, bool record_code_use) {
  const at::NoGradGuard no_grad;
  const data::Batcher batches(split, image, normalisation, position.seed,
                              std::min(batch_size, split.count()),
                              /*shuffle=*/false, /*drop_last=*/false);
  BatchBuffer buffer(image, batches.batch_size(), model.options());
  Metrics metrics(classes, model.options().device);
  for (std::int64_t step = 0; step < batches.steps_per_epoch(); ++step) {
    const Batch batch = buffer.fill(batches, 0, step);
    if (record_code_use && step == 0) model.record_code_use();
    const at::Tensor logits = model.evaluate(batch.images, position);
    metrics.add(logits, batch.labels, loss(logits, batch.labels));
  }
  return metrics.result();
}

}  // namespace qhost::training
