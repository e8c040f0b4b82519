/// jobs/verify_program.h: holds the engine against evaluation, image by image.
///
/// 1. Every conv2d and linear layer alone, given what evaluation gives it for the first
///    `layer_images` images. Of codes and codes: the
///    engine's integer sums, scaled as evaluation scales them, equal evaluation's output to the bit.
///    With a float on either side: within 1e-5 of the largest output. Codes that come from
///    thresholds of sums are equal.
/// 2. From layer to layer. A code that differs from evaluation's must be explained: evaluation's
///    value lies within 2^-18 of the threshold between the two codes, relative to the larger of the
///    threshold and the tensor's largest value. A last bit of a float sum moved it across. The engine
///    goes on with evaluation's codes, so that what follows is judged on its own.
/// 3. The logits are then within 1e-4 of the image's largest.
/// 4. The images that change their class where the engine goes on with its own codes are counted;
///    more than 0.1 % of all give a note.
///
/// The operations that the engine merges for speed give the bits of those that it does not.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "model/model.h"
#include "packed/program.h"
#include "training/evaluate.h"

namespace qhost::jobs {

struct LayerCheck {
  std::string name;
  bool integer = false;        ///< both sides are codes with integer levels
  std::int64_t values = 0;     ///< outputs that were compared
  std::int64_t different = 0;  ///< integer: not equal; float: beyond the bound
  std::int64_t different_codes = 0;
  double largest_difference = 0;  ///< relative to the largest output of the batch
};

/// A layer is a function of what it is given, and 512 images give it hundreds of thousands of values.
/// The codes of all images are judged from layer to layer.
inline constexpr std::int64_t layer_images = 512;

struct Verification {
  std::int64_t images = 0;
  std::vector<LayerCheck> layers;
  std::int64_t images_with_other_codes = 0;
  std::int64_t explained_codes = 0, unexplained_codes = 0;
  std::int64_t changed_decisions = 0;
  double largest_logit_difference = 0;  ///< relative; behind evaluation's codes
  std::int64_t merged_differences = 0;  ///< logits that merging changed
  /// Empty: it passed. Sentences with figures otherwise.
  std::vector<std::string> failures;
  std::vector<std::string> notes;

  bool passed() const { return failures.empty(); }
  nlohmann::json to_json() const;
};

/// The network as a file and back: what is verified is what can be read. Throws Error (configuration)
/// where a node has no packed form.
packed::Program packed_network(Model& model, const RunPosition& position);

/// `program` was packed from `model` (see require_same_network). Evaluates all of `split`. Where
/// training/interrupt.h is in use, throws Interrupted between batches.
Verification verify_program(Model& model, const packed::Program& program, const data::Split& split,
                            const training::EvaluationSettings& settings,
                            const RunPosition& position,
                            const training::EvaluationWatch& watch = {});

}  // namespace qhost::jobs
