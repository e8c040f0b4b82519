#include "report/score.h"

#include "common/number_text.h"
#include "report/score_network.h"

namespace qhost::report {
namespace {

double weighted(const std::vector<ScoreItem>& items) {
  double sum = 0;
  for (const ScoreItem& item : items) sum += item.count * item.bits / 32;
  return sum;
}

double number_of(const std::vector<ScoreItem>& items) {
  double sum = 0;
  for (const ScoreItem& item : items) sum += item.count;
  return sum;
}

bool is_micronet(ScoreRule rule) {
  return rule == ScoreRule::micronet || rule == ScoreRule::micronet_adder_tree ||
         rule == ScoreRule::micronet_float_adds;
}

// Six digits: enough to distinguish an accuracy from a threshold that it barely misses.
std::string percent(double fraction) {
  return significant(100 * fraction, 6) + " %";
}

const ScoreReference& reference_of(const ScoreRequest& request) {
  if (request.reference) return *request.reference;
  const std::vector<ScoreReference>& references = info(request.rule).references;
  for (const ScoreReference& reference : references) {
    if (reference.data_set == request.data_set) return reference;
  }
  return references.front();
}

void judge(const Graph& graph, const ScoreRequest& request, Score& score) {
  score.accuracy = request.accuracy;
  const ScoreReference& reference = score.reference;
  const std::int64_t classes = graph.output().shape.channels();
  if (!request.data_set.empty() && request.data_set != reference.data_set) {
    score.why_not =
        "the rule is for " + reference.data_set + ", the network for " + request.data_set;
  } else if (classes != reference.classes) {
    score.why_not = "the rule is for the " + std::to_string(reference.classes) + " classes of " +
                    reference.data_set + ", the network has " + std::to_string(classes);
  } else if (score.accuracy && *score.accuracy < reference.threshold) {
    score.why_not = "accuracy " + percent(*score.accuracy) + " is below the threshold of " +
                    percent(reference.threshold);
  }
  if (!score.why_not.empty()) {
    score.qualifies = false;
  } else if (score.accuracy && !request.uniform) {
    score.qualifies = true;
  }
}

void add_layers(const ScoredNetwork& network, const ScoreRequest& request, bool freebie,
                Score& score) {
  for (const ScoredNode& node : network.nodes) {
    ScoreLayer layer{.name = node.layer.name, .op = node.layer.op, .detail = node.layer.detail};
    if (node.has_weight) {
      layer.weight_bits = node.weight.bits * node.weight.ensemble_size;
      layer.input_bits = node.input.bits;
    }
    if (request.sparsity.contains(layer.name)) {
      layer.zeros = static_cast<std::int64_t>(node.weights - node.nonzero);
      score.zeros = score.zeros.value_or(0) + *layer.zeros;
    }
    if (is_micronet(score.rule)) {
      count_micronet(network, node, score.rule, freebie, layer);
    } else {
      count_course(network, node, score.rule, layer);
    }
    score.stored_parameters += layer.storage();
    score.counted_operations += layer.operations();
    score.layers.push_back(std::move(layer));
  }
  score.storage = score.stored_parameters / score.reference.parameters;
  score.operations = score.counted_operations / score.reference.operations;
  score.score = score.storage + score.operations;
}

void note_relus(const ScoredNetwork& network, Score& score) {
  double relus = 0;
  for (const ScoredNode& node : network.nodes) {
    const bool relu = node.node->op == Op::activation &&
                      node.node->as<ActivationOptions>().kind == Activation::relu;
    if (relu && node.runs) relus += node.outputs() * node.networks;
  }
  if (relus == 0) return;
  const std::string number = with_separators(static_cast<std::int64_t>(relus));
  score.notes.push_back(score.rule == ScoreRule::course2021_script_functional
                            ? number +
                                  " ReLUs are not counted: the script's hooks do not see "
                                  "function calls; course2021-script counts them"
                            : number +
                                  " ReLUs are counted: the script sees them where they are "
                                  "modules; course2021-script-functional leaves them out");
}

std::string zeros_note(const ScoredNetwork& network, const Score& score) {
  double known = 0, unknown = 0;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    (score.layers[i].zeros ? known : unknown) += network.nodes[i].weights;
  }
  const auto whole = [](double number) {
    return with_separators(static_cast<std::int64_t>(number));
  };
  std::string text = with_separators(*score.zeros) + " of " + whole(known) + " weights are 0";
  if (*score.zeros > 0) {
    text += is_micronet(score.rule) ? ": they are not multiplied, and not stored where a mask of "
                                      "one bit a weight takes less"
                                    : ": they are not stored, and multiplied like the others";
  }
  return text + (unknown > 0 ? "; of " + whole(unknown) + " more it is unknown" : "");
}

void add_notes(const ScoredNetwork& network, const ScoreRequest& request, Score& score) {
  std::vector<std::string>& notes = score.notes;
  if (score.freebie) notes.push_back(freebie_note(score));
  if (!request.why_dense.empty()) notes.push_back(dense_note(request.why_dense));
  if (score.zeros) notes.push_back(zeros_note(network, score));
  if (score.rule == ScoreRule::micronet && network.quantized) {
    notes.push_back(
        "sums of integers count the bits of one accumulator; micronet-adder-tree and "
        "micronet-float-adds count other ways");
  }
  if (score.rule == ScoreRule::course && !request.uniform) {
    notes.push_back(
        "biases and batch norm count as trained, 32 bits a value; course-folded counts "
        "what folding leaves; the rule knows no scales, zero points or codebooks");
  }
  if (request.uniform) {
    notes.push_back(
        "as if every weight had " + std::to_string(request.uniform->weight_bits) +
        " and every input " + std::to_string(request.uniform->input_bits) +
        " bits, whatever the experiment says" +
        (request.accuracy ? "; the accuracy is that of the network as it was trained" : ""));
  }
  if (!is_micronet(score.rule) && score.rule != ScoreRule::course &&
      score.rule != ScoreRule::course_folded) {
    note_relus(network, score);
  }
}

}  // namespace

std::string freebie_note(const Score& score) {
  if (!score.freebie) return "";
  return "nothing is quantized: values and multiplies count 16 bits (the freebie); without it the "
         "score is " +
         significant(*score.without_freebie, 4);
}

std::string dense_note(const std::string& why_dense) {
  return "zeros among the weights count like other values: " + why_dense;
}

double ScoreLayer::stored_values() const {
  return number_of(stored);
}
double ScoreLayer::storage() const {
  return weighted(stored);
}
double ScoreLayer::operation_count() const {
  return number_of(computed);
}
double ScoreLayer::operations() const {
  return weighted(computed);
}

Score score(const Graph& graph, const ScoreRequest& request) {
  const ScoredNetwork network = scored_network(graph, request);
  Score result;
  result.rule = request.rule;
  result.reference = reference_of(request);
  result.uniform = request.uniform;
  result.freebie = is_micronet(request.rule) && !network.quantized;
  if (result.freebie) {
    Score plain = result;
    add_layers(network, request, /*freebie=*/false, plain);
    result.without_freebie = plain.score;
  }
  add_layers(network, request, result.freebie, result);
  judge(graph, request, result);
  add_notes(network, request, result);
  return result;
}

}  // namespace qhost::report
