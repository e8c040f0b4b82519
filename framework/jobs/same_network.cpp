#include "jobs/same_network.h"

#include <algorithm>

#include "common/number_text.h"
#include "sdk/describe.h"

namespace qhost::jobs {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

std::vector<int> layers_of(const Program& program) {
  std::vector<int> layers;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    if (program.steps[i].weight) layers.push_back(static_cast<int>(i));
  }
  return layers;
}

/// "reads binary codes", "reads floats".
std::string input_text(const Program& program, const Step& step) {
  const Step& source = program.step(step.inputs[0]);
  if (!source.codes) return "floats";
  return to_string(source.codes->encoding.kind) + std::string(" codes, ") +
         std::to_string(source.codes->count()) + " of them";
}

std::string list_text(const std::vector<double>& numbers) {
  std::string text = "[";
  for (const double number : numbers) text += (text.size() > 1 ? ", " : "") + significant(number);
  return text + "]";
}

std::string list_text(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const std::string& name : names) text += (text.size() > 1 ? ", " : "") + name;
  return text + "]";
}

std::string text_of(const nlohmann::json& about, const char* key) {
  const auto found = about.find(key);
  return found != about.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::string other_network(const Program& program, const Program& own) {
  const auto differ = [](const std::string& what, const std::string& theirs,
                         const std::string& ours) {
    return what + " is " + theirs + ", and the run's is " + ours;
  };
  if (program.input().shape != own.input().shape) {
    return differ("its input", to_string(program.input().shape), to_string(own.input().shape));
  }
  const Shape output = program.step(program.output).shape;
  if (output != own.step(own.output).shape) {
    return differ("its output", to_string(output), to_string(own.step(own.output).shape));
  }
  const std::vector<int> layers = layers_of(program), own_layers = layers_of(own);
  for (std::size_t i = 0; i < std::max(layers.size(), own_layers.size()); ++i) {
    const auto name = [&](const Program& of, const std::vector<int>& list) {
      return i < list.size() ? "`" + of.step(list[i]).name + "`" : std::string("none");
    };
    const std::string place = "its layer " + std::to_string(i);
    if (name(program, layers) != name(own, own_layers)) {
      return differ(place, name(program, layers), name(own, own_layers));
    }
    const Step& step = program.step(layers[i]);
    const Step& mine = own.step(own_layers[i]);
    const auto shape = [](const Program& in, const Step& of) {
      return std::string(packed::to_string(of.op)) + " from " +
             to_string(in.step(of.inputs[0]).shape) + " to " + to_string(of.shape) +
             " with a weight of shape " + shape_text(of.weight->shape);
    };
    if (shape(program, step) != shape(own, mine)) {
      return differ("`" + step.name + "`", shape(program, step), shape(own, mine));
    }
    if (input_text(program, step) != input_text(own, mine)) {
      return "`" + step.name + "` reads " + input_text(program, step) + ", and the run's reads " +
             input_text(own, mine);
    }
  }
  return "";
}

std::vector<std::string> other_provenance(const packed::Provenance& file,
                                          const packed::Provenance& own) {
  std::vector<std::string> differences;
  const auto compare = [&](const std::string& what, const auto& theirs, const auto& ours) {
    if (theirs == ours) return;
    differences.push_back(what + " of the file is " + list_text(theirs) + ", that of the run " +
                          list_text(ours));
  };
  compare("the mean", file.mean, own.mean);
  compare("the standard deviation", file.deviation, own.deviation);
  compare("the list of classes", file.class_names, own.class_names);
  return differences;
}

std::string other_origin(const packed::Provenance& file, const packed::Provenance& own) {
  const std::string run = text_of(file.more, "run"), checkpoint = text_of(file.more, "checkpoint");
  if (run == text_of(own.more, "run") && checkpoint == text_of(own.more, "checkpoint")) return "";
  return " (it says that it is of the run " + run + ", checkpoint " + checkpoint + ")";
}

}  // namespace qhost::jobs
