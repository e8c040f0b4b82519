// BinaryConnect (Courbariaux, Bengio, David, NIPS 2015, arXiv 1511.00363): weights of -1 and +1,
// gradients gathered by real-valued latent weights.
//
//     deterministic   w_b = +1 if w >= 0, else -1                     (so sign(0) = +1)
//     stochastic      w_b = +1 with probability p(w), else -1;
//                     p(w) = clip((w + 1)/2, 0, 1)                    (section 2.3, "hard sigmoid")
//     backward        dC/dw = dC/dw_b for every w: no mask            (Algorithm 1)
//     update          w <- clip(w - rate * multiplier * dC/dw_b, -1, +1)
//
// A stochastic draw compares with u = uniform_like(random("sign"), w): w_b = +1 exactly if
// u < (w + 1)/2 in float32.
//
// Evaluation, storage and scores use (section 2.6) the deterministic w_b, the latent weights
// themselves (32 bits), or an ensemble: the mean output of `samples` networks, each with weights
// drawn once.
//
// The multiplier and the start of w follow the authors' code: see shared/latent_start.h.
#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/stack.h>

#include <string>
#include <vector>

#include "qhost/options.h"
#include "qhost/plugin.h"
#include "qhost/quantizer.h"
#include "qhost/ste.h"
#include "shared/latent_start.h"

namespace {

using namespace qhost;

struct Settings {
  bool stochastic = false;
  std::string test_weights;  ///< "binary", "real" or "ensemble"
  int samples = 1;           ///< networks of the ensemble; 1 for the other test weights

  static Settings from(const Options& options) {
    Settings s;
    s.stochastic = options.string("mode") == "stochastic";
    s.test_weights = options.string("test_weights");
    if (s.test_weights == "auto") s.test_weights = s.stochastic ? "real" : "binary";
    if (s.test_weights == "ensemble") s.samples = static_cast<int>(options.integer("samples"));
    return s;
  }
};

/// u < p(w). The clip of p is left out: a number of [0, 1) is below any p >= 1 and above any p <= 0
/// anyway.
at::Tensor drawn_positive(const SlotContext& context, const at::Tensor& w) {
  return at::gt(at::add(w, 1).mul_(0.5), uniform_like(context.random("sign"), w));
}

class BinaryWeight : public WeightQuantizer {
 public:
  BinaryWeight(const Settings& settings, const LatentStart& start)
      : settings_(settings), start_(start) {}

  Encoding encoding(const SlotInfo&) const override {
    if (settings_.test_weights == "real") return Encoding::float32();
    Encoding encoding = Encoding::binary(ScaleKind::none);
    encoding.ensemble_size = settings_.samples;
    return encoding;
  }

  LatentTraits latent_traits(const SlotInfo& slot) const override {
    return {.learning_rate_multiplier = start_.learning_rate_multiplier(slot)};
  }

  void initialize(const SlotContext& context, at::Tensor& latent) override {
    start_.draw(context, latent);
  }

  /// In evaluation the weights that encode() stores; for an ensemble those of `context.member`.
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    const bool training = context.mode == Mode::train;
    if (!training && settings_.test_weights == "real") return latent;
    const bool draws = training ? settings_.stochastic : settings_.test_weights == "ensemble";
    if (!draws) return ste::sign_identity(latent);
    const at::Tensor drawn = drawn_positive(context, latent.detach());
    return ste::straight_through(latent, drawn.to(at::kFloat).mul_(2).sub_(1));
  }

  void after_step(const SlotContext&, at::Tensor& latent) override { latent.clamp_(-1, 1); }

  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor w = latent.detach();
    Encoded encoded = {.encoding = encoding(*context.slot)};
    if (settings_.test_weights == "real") {
      encoded.codes = w.clone();
    } else if (settings_.test_weights == "binary") {
      encoded.codes = ste::sign_codes(w);
    } else {
      std::vector<at::Tensor> members;
      for (int m = 0; m < settings_.samples; ++m) members.push_back(codes_of_member(context, w, m));
      encoded.codes = at::stack(members);
    }
    return encoded;
  }

 private:
  static at::Tensor codes_of_member(SlotContext context, const at::Tensor& w, int member) {
    // The draws of an evaluation, whatever the run is doing when it asks for the stored form.
    context.mode = Mode::evaluate;
    context.member = member;
    return drawn_positive(context, w).to(at::kByte);
  }

  Settings settings_;
  LatentStart start_;
};

class BinaryConnect : public Quantizer {
 public:
  explicit BinaryConnect(const Options& options)
      : settings_(Settings::from(options)), start_("binaryconnect", options) {}

  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<BinaryWeight>(settings_, start_);
  }

  Traits traits() const override {
    Traits traits;
    traits.ensemble_size = settings_.samples;
    return traits;
  }

 private:
  Settings settings_;
  LatentStart start_;
};

std::vector<Option> options() {
  return {
      Option::string("mode", "deterministic", "how the binary weights follow from the latent ones")
          .one_of({"deterministic", "stochastic"})
          .from_paper("Eq. 1 and 2"),
      Option::string("test_weights", "auto",
                     "what evaluation and storage use; auto: binary for the deterministic mode, "
                     "real (32 bits) for the stochastic one")
          .one_of({"auto", "binary", "real", "ensemble"})
          .from_paper("section 2.6"),
      Option::integer("samples", 8, "networks drawn and averaged by test_weights = \"ensemble\"")
          .at_least(2)
          .at_most(256),
      Option::string("lr_scale", "none",
                     "multiplies the learning rate of the latent weights: glorot by 1/c, "
                     "glorot_squared by 1/c^2, c = sqrt(1.5 / (fan_in + fan_out)); the paper takes "
                     "glorot for Adam, glorot_squared for SGD")
          .one_of({"none", "glorot", "glorot_squared"})
          .from_paper("section 2.5"),
      LatentStart::init_option(),
  };
}

}  // namespace

QHOST_PLUGIN(binaryconnect, "BinaryConnect: weights of -1 and +1 with real-valued latent weights",
             "Apache-2.0", "qhost") {
  registrar.add_quantizer({
      .name = "binaryconnect",
      .summary = "weights of -1 and +1, identity straight-through gradient, clipped latent weights",
      .paper = "Courbariaux, Bengio, David, BinaryConnect, NIPS 2015, arXiv 1511.00363",
      .options = options(),
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<BinaryConnect>(given);
      },
  });
}
