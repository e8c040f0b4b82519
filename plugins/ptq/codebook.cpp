#include "codebook.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/tensor.h>

#include <tuple>

#include "qhost/ste.h"

namespace qhost::ptq {
namespace {

class Codebook : public Quantizer {
 public:
  explicit Codebook(const CodebookSettings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<CodebookWeight>(settings_);
  }

 private:
  CodebookSettings settings_;
};

}  // namespace

CodebookSettings CodebookSettings::from(const Options& options) {
  CodebookSettings s;
  s.bits = static_cast<int>(options.integer("bits"));
  s.per_channel = options.string("scope") == "channel";
  if (options.string("start") == "density") s.start = CenterStart::density;
  s.iterations = static_cast<int>(options.integer("iterations"));
  s.training = training_from(options);
  return s;
}

Encoding CodebookWeight::encoding(const SlotInfo&) const {
  return Encoding::codebook(1 << settings_.bits, ScaleKind::none, settings_.per_channel);
}

at::Tensor CodebookWeight::forward(const SlotContext& context, const at::Tensor& latent) {
  if (rests_as_float(settings_.training, context)) return latent;
  // The codes are in row-major order; a convolution wants its weight in one layout.
  const at::Tensor value = decode(encode(context, latent));
  return ste::straight_through(latent, value.contiguous(latent.suggest_memory_format()));
}

Encoded CodebookWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::NoGradGuard no_grad;
  const at::Tensor w = latent.detach();
  const at::Tensor rows = w.reshape({settings_.per_channel ? w.size(0) : 1, -1});
  // Not std::sort, which has no order for the NaN of a training that diverges.
  const at::Tensor on_cpu = std::get<0>(at::sort(rows.to(at::kCPU), 1)).contiguous();
  const auto* data = on_cpu.const_data_ptr<float>();
  const int entries = 1 << settings_.bits;

  std::vector<float> table;
  std::vector<double> middles;
  for (std::int64_t row = 0; row < on_cpu.size(0); ++row) {
    const std::vector<float> sorted(data + row * on_cpu.size(1), data + (row + 1) * on_cpu.size(1));
    const std::size_t begin = table.size();
    for (const double center : k_means(sorted, entries, settings_.start, settings_.iterations)) {
      table.push_back(static_cast<float>(center));
    }
    // Nearest among the rounded entries, which are what is stored.
    for (std::size_t k = begin; k + 1 < table.size(); ++k) {
      middles.push_back((static_cast<double>(table[k]) + static_cast<double>(table[k + 1])) / 2);
    }
  }
  const at::Tensor edges =
      at::tensor(middles, at::kDouble).reshape({on_cpu.size(0), -1}).to(w.device());
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  encoded.codes = at::searchsorted(edges, rows.to(at::kDouble)).to(at::kByte).reshape(w.sizes());
  encoded.table = at::tensor(table, at::kFloat).to(w.device());
  if (settings_.per_channel) encoded.table = encoded.table.reshape({w.size(0), entries});
  return encoded;
}

QuantizerMethod codebook_method() {
  return {
      .name = "ptq_codebook",
      .summary = "weights that share the 2^bits centers of k-means",
      .paper = "Han, Mao, Dally, Deep Compression, ICLR 2016, arXiv 1510.00149",
      .options =
          {
              Option::integer("bits", 4, "of a weight: 2^bits shared values")
                  .at_least(1)
                  .at_most(8),
              Option::string("scope", "layer", "what shares one table")
                  .one_of({"layer", "channel"}),
              Option::string("start", "linear",
                             "where the centers start: evenly between the extremes, or at even "
                             "ranks of the weights")
                  .one_of({"linear", "density"})
                  .from_paper("section 3.2"),
              Option::integer("iterations", 100, "of Lloyd's algorithm, at most").at_least(0),
              training_option(),
          },
      .roles = {Role::weight},
      .keep_float = {},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<Codebook>(CodebookSettings::from(given));
      },
  };
}

}  // namespace qhost::ptq
