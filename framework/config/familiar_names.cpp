#include "config/familiar_names.h"

#include <cctype>
#include <utility>

namespace qhost::config {
namespace {

constexpr std::pair<std::string_view, std::string_view> familiar[] = {
    {"lr", "optimizer.learning_rate"},
    {"learningrate", "optimizer.learning_rate"},
    {"wd", "optimizer.weight_decay"},
    {"weightdecay", "optimizer.weight_decay"},
    {"momentum", "optimizer.momentum"},
    {"opt", "optimizer.name"},
    {"bs", "train.batch_size"},
    {"batch", "train.batch_size"},
    {"batchsize", "train.batch_size"},
    {"epoch", "train.epochs"},
    {"epochs", "train.epochs"},
    {"numepochs", "train.epochs"},
    {"maxepochs", "train.epochs"},
    {"steps", "train.max_steps"},
    {"maxsteps", "train.max_steps"},
    {"seed", "train.seed"},
    {"device", "train.device"},
    {"gpu", "train.device"},
    {"workers", "train.threads"},
    {"numworkers", "train.threads"},
    {"threads", "train.threads"},
    {"pretrained", "train.init_from"},
    {"checkpoint", "train.init_from"},
    {"weights", "train.init_from"},
    {"amp", "train.precision"},
    {"bf16", "train.precision"},
    {"precision", "train.precision"},
    {"loss", "train.loss"},
    {"clip", "train.gradient_clip"},
    {"arch", "model.name"},
    {"architecture", "model.name"},
    {"network", "model.name"},
    {"depth", "model.depth"},
    {"width", "model.widen_factor"},
    {"dataset", "data.name"},
    {"dataroot", "data.root"},
    {"datadir", "data.root"},
    {"method", "quantizer.name"},
    {"quant", "quantizer.name"},
    {"bits", "quantizer.bits"},
    {"scheduler", "schedule.name"},
    {"lrscheduler", "schedule.name"},
    {"warmup", "schedule.warmup_epochs"},
};

constexpr std::pair<std::string_view, std::string_view> components[] = {
    {"wrn", "wideresnet"},
    {"wideresnet28", "wideresnet"},
    {"preactresnet", "resnet"},
    {"resnet18", "resnet"},
    {"resnet20", "resnet"},
    {"bireal", "resnet"},
    {"birealnet", "resnet"},
    {"densenetbc", "densenet"},
    {"vggsmall", "vgg"},
    {"bc", "binaryconnect"},
    {"binarynet", "bnn"},
    {"binaryweightnetwork", "bwn"},
    {"xnor", "xnornet"},
    {"xnornet++", "xnornet"},
    {"twn", "ternary"},
    {"dorefanet", "dorefa"},
    {"lsq+", "lsq"},
    {"ptq", "ptq_static"},
    {"int8", "ptq_static"},
    {"static", "ptq_static"},
    {"fp16", "ptq_half"},
    {"bf16", "ptq_half"},
    {"half", "ptq_half"},
    {"float", "none"},
    {"fp32", "none"},
    {"cifar", "cifar10"},
    {"mnist", "fashion_mnist"},  // files of the same form
    {"cosineannealing", "cosine"},
    {"onecycle", "one_cycle"},
    {"multistep", "multi_step"},
};

constexpr std::pair<std::string_view, std::string_view> choices[] = {
    {"gpu", "cuda"},
    {"cuda:0", "cuda"},
    {"float32", "fp32"},
    {"float", "fp32"},
    {"bfloat16", "bf16"},
    {"float16", "fp16"},
    {"half", "fp16"},
    {"ce", "cross_entropy"},
    {"crossentropy", "cross_entropy"},
    {"hinge", "squared_hinge"},
    {"squaredhinge", "squared_hinge"},
};

std::string plain(std::string_view word) {
  std::string letters;
  for (const char c : word) {
    if (c == '-' || c == '_') continue;
    letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return letters;
}

}  // namespace

std::string familiar_key(std::string_view word) {
  const std::string wanted = plain(word);
  for (const auto& [other, key] : familiar) {
    if (other == wanted) return std::string(key);
  }
  return "";
}

std::string familiar_choice(std::string_view word) {
  const std::string wanted = plain(word);
  for (const auto& [other, value] : choices) {
    if (other == wanted) return std::string(value);
  }
  return "";
}

std::string familiar_component(std::string_view word) {
  const std::string wanted = plain(word);
  for (const auto& [other, name] : components) {
    if (other == wanted) return std::string(name);
  }
  return "";
}

}  // namespace qhost::config
