#include "config/schema.h"

namespace qhost::config {
namespace {

// Of a batch: beyond what any memory holds.
constexpr double most_images = 1 << 20;

std::vector<Option> train_options() {
  return {
      Option::integer("epochs", 10, "passes over the training set").at_least(0),
      Option::string("init_from", "",
                     "start from the weights of a float network: a run directory or a "
                     ".safetensors file; absent: draw them"),
      Option::strings("init_except", {},
                      "layers that are drawn anew all the same, as selectors: [\"fc\"] for another "
                      "number of classes"),
      Option::integer("max_steps", 0, "stop after so many optimizer steps; 0: not before the end")
          .at_least(0),
      Option::integer("batch_size", 128, "images of one optimizer step")
          .at_least(1)
          .at_most(most_images),
      Option::boolean("drop_last", false, "leave out an epoch's last batch when it is not full"),
      Option::string("precision", "fp32", "number format of the float operations in training")
          .one_of({"fp32", "bf16"}),
      Option::integer("seed", 1, "every random draw of the run follows from it").at_least(0),
      Option::string("device", "cpu", "where to compute; auto: a GPU if there is a usable one")
          .one_of({"cpu", "cuda", "auto"}),
      Option::integer("threads", 0,
                      "CPU threads; they change the last bits of a result; 0: all cores, the "
                      "number is recorded")
          .at_least(0)
          .at_most(4096),
      Option::boolean("channels_last", true, "memory layout NHWC, the faster one for convolutions"),
      Option::string("loss", "cross_entropy", "what is minimized")
          .one_of({"cross_entropy", "squared_hinge"}),
      Option::real("label_smoothing", 0, "share of the uniform distribution in the label")
          .at_least(0)
          .below(1)
          .from_paper("Szegedy et al., arXiv:1512.00567, section 7"),
      Option::real("gradient_clip", 0, "largest Euclidean norm of all gradients; 0: no limit")
          .at_least(0),
      Option::integer("bn_recalibrate", 0,
                      "training batches from which the final evaluation takes the batch norms' "
                      "mean and variance anew; 0: keep those of training")
          .at_least(0),
      Option::integer("evaluate_every", 1, "epochs between evaluations").at_least(1),
      Option::integer("evaluation_batch_size", 256, "images of one evaluation batch")
          .at_least(1)
          .at_most(most_images),
      Option::string("verify", "full",
                     "whether a run ends with the proof that its packed network computes what was "
                     "trained: on all test images, on a sample of 256, or off")
          .one_of({"full", "sample", "off"})
          .not_part_of_result(),
      Option::integer("checkpoint_every", 1, "epochs between checkpoints")
          .at_least(1)
          .not_part_of_result(),
      Option::integer("checkpoint_every_steps", 0,
                      "steps between checkpoints within an epoch; 0: none within an epoch")
          .at_least(0)
          .not_part_of_result(),
      Option::integer("keep_checkpoints", 2, "newest checkpoints that stay on disk")
          .at_least(2)
          .not_part_of_result(),
      Option::integer("progress_every", 0,
                      "steps between progress lines; 0: as fits a terminal or a log")
          .at_least(0)
          .not_part_of_result(),
  };
}

std::vector<Option> augment_options() {
  return {
      Option::integer("crop_padding", 0,
                      "pixels added on each side before a crop of the image's size is drawn")
          .at_least(0)
          .at_most(64),
      Option::string("padding_mode", "zero", "what the added pixels hold")
          .one_of({"zero", "reflect"}),
      Option::boolean("flip", false, "mirror half of the images, drawn anew in each epoch"),
      Option::integer("cutout", 0, "side in pixels of a square that is blanked; 0: none")
          .at_least(0)
          .from_paper("DeVries and Taylor, arXiv:1708.04552"),
      Option::boolean("normalize", true, "(x - mean) / std for each channel; in evaluation too"),
      Option::reals("mean", {}, "for each channel, pixels in 0..1; empty: the data set's")
          .at_least(0)
          .at_most(1),
      Option::reals("std", {}, "for each channel, pixels in 0..1; empty: the data set's").above(0),
      Option::string(
          "whitening", "none",
          "gcn_zca: contrast of each image, then a ZCA fitted on the training images, in "
          "the place of (x - mean) / std")
          .one_of({"none", "gcn_zca"})
          .from_paper("Coates, Lee and Ng, AISTATS 2011; Pylearn2"),
      Option::real("gcn_scale", 55, "norm of an image after its contrast normalization").above(0),
      Option::boolean("gcn_subtract_mean", true, "take an image's mean away before its norm"),
      Option::boolean("gcn_use_std", false,
                      "divide by an image's standard deviation in the place of its norm"),
      Option::real("gcn_sqrt_bias", 0, "added to the squared norm or the variance").at_least(0),
      Option::real("gcn_min_divisor", 1e-8, "an image whose divisor is smaller is not divided")
          .above(0),
      Option::real("zca_filter_bias", 0.1, "added to each variance before its root").above(0),
  };
}

std::vector<Option> calibration_options() {
  return {
      Option::integer("batches", 32, "batches of training images that observers see").at_least(1),
      Option::integer("batch_size", 32, "images of one calibration batch")
          .at_least(1)
          .at_most(most_images),
  };
}

std::vector<Option> rule_options() {
  return {
      Option::strings("layers", {"*"},
                      "the layers that the rule is about: globs on names, re:REGEX, first, last, "
                      "type:conv2d, kernel:1x1"),
      Option::strings("roles", {}, "what to quantize; absent: all that the method offers")
          .one_of({"weight", "input", "gradient"}),
      Option::strings(
          "keep_float", {},
          "layers that the rule leaves alone, or a role of them as first/input; absent: "
          "the method's own default"),
  };
}

std::vector<Option> sgd_options() {
  return {
      Option::real("learning_rate", 0.1, "size of a step, before the schedule").above(0),
      Option::real("momentum", 0.9, "share of the previous step that is kept").at_least(0).below(1),
      Option::boolean("nesterov", false, "look ahead along the momentum"),
      Option::real("weight_decay", 0, "factor of the weight that is added to its gradient")
          .at_least(0),
      Option::string("weight_decay_on", "weights",
                     "weights: of convolutions and linear layers only; all: biases and batch norm "
                     "too")
          .one_of({"weights", "all"}),
  };
}

std::vector<Option> adam_options(const char* weight_decay_help) {
  return {
      Option::real("learning_rate", 1e-3, "size of a step, before the schedule").above(0),
      Option::real("beta1", 0.9, "decay of the gradient's mean").at_least(0).below(1),
      Option::real("beta2", 0.999, "decay of the squared gradient's mean").at_least(0).below(1),
      Option::real("epsilon", 1e-8, "added to the root of the squared gradient's mean").above(0),
      Option::real("weight_decay", 0, weight_decay_help).at_least(0),
      Option::string("weight_decay_on", "weights",
                     "weights: of convolutions and linear layers only; all: biases and batch norm "
                     "too")
          .one_of({"weights", "all"}),
  };
}

std::vector<Option> with_warmup(std::vector<Option> options) {
  options.push_back(
      Option::real("warmup_epochs", 0, "epochs of linear growth at the start").at_least(0));
  options.push_back(Option::real("warmup_start", 0,
                                 "learning rate of the first step, as a fraction of the "
                                 "optimizer's")
                        .at_least(0)
                        .at_most(1));
  return options;
}

Option per_option() {
  return Option::string("per", "step", "how often the learning rate moves")
      .one_of({"step", "epoch"});
}

const std::vector<Option>* find(const std::vector<ComponentDeclaration>& list,
                                std::string_view name) {
  for (const auto& declaration : list) {
    if (declaration.name == name) return &declaration.options;
  }
  return nullptr;
}

}  // namespace

const std::vector<TableDeclaration>& tables() {
  static const std::vector<TableDeclaration> list = {
      {"data", "the images", true, "", {}},
      {"augment", "what happens to an image before the network sees it", false, "",
       augment_options()},
      {"model", "the network, from an architecture plugin", true, "", {}},
      {"quantizer",
       "a rule: a method from a quantizer plugin and the layers it is for; [[quantizer]] for "
       "several",
       true, "none", rule_options()},
      {"train", "the training loop", false, "", train_options()},
      {"optimizer", "how gradients change weights", true, "sgd", {}},
      {"schedule", "the learning rate over time", true, "constant", {}},
      {"calibration", "the images by which observers choose ranges", false, "",
       calibration_options()},
      {"sweep",
       "several runs from one file: points = [{TABLE.KEY = VALUE, label = ...}, ...], each once "
       "for "
       "each of seeds = [1, 2, ...]",
       false,
       "",
       {}},
  };
  return list;
}

const TableDeclaration* find_table(std::string_view name) {
  for (const auto& table : tables()) {
    if (table.name == name) return &table;
  }
  return nullptr;
}

const std::vector<Option>& top_level_options() {
  static const std::vector<Option> list = {
      Option::string("name", "", "names the folder of the runs; absent: the file's name"),
  };
  return list;
}

const std::vector<ComponentDeclaration>& optimizers() {
  static const std::vector<ComponentDeclaration> list = {
      {"sgd", "stochastic gradient descent with momentum", sgd_options()},
      {"adam", "Kingma and Ba, arXiv:1412.6980",
       adam_options("factor of the weight that is added to its gradient")},
      {"adamw", "Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101)",
       adam_options("times the learning rate: share of the weight that is taken off")},
  };
  return list;
}

const std::vector<ComponentDeclaration>& schedules() {
  static const std::vector<ComponentDeclaration> list = {
      {"constant", "one learning rate throughout", with_warmup({})},
      {"step", "a factor every so many epochs",
       with_warmup({Option::integer("every", 30, "epochs between changes").at_least(1),
                    Option::real("factor", 0.1, "of the learning rate at each change").above(0)})},
      {"multi_step", "a factor at given epochs",
       with_warmup({Option::required("milestones", OptionType::integer_list,
                                     "the epochs at which the learning rate changes, rising")
                        .at_least(1),
                    Option::real("factor", 0.1, "of the learning rate at each change").above(0)})},
      {"cosine", "half a cosine down to `final` (Loshchilov and Hutter, arXiv:1608.03983)",
       with_warmup(
           {Option::real("final", 0, "learning rate at the end").at_least(0), per_option()})},
      {"exponential", "a constant factor per step down to `final`",
       with_warmup(
           {Option::required("final", OptionType::real, "learning rate at the end").above(0),
            per_option()})},
      {"one_cycle",
       "up and down once (Smith and Topin, arXiv:1708.07120)",
       {Option::real("peak_fraction", 0.3, "share of the steps until the optimizer's learning rate")
            .above(0)
            .below(1),
        Option::real("start_divisor", 25, "the first learning rate is the optimizer's over this")
            .at_least(1),
        Option::real("final_divisor", 1e4, "the last learning rate is the first over this")
            .at_least(1)}},
  };
  return list;
}

const std::vector<Option>* find_optimizer(std::string_view name) {
  return find(optimizers(), name);
}
const std::vector<Option>* find_schedule(std::string_view name) {
  return find(schedules(), name);
}

}  // namespace qhost::config
