/// report/score.h: what a network scores under a rule, layer by layer. Needs no LibTorch and no
/// weights: graph, encodings and, where a tensor has zeros, their number.
///
/// A value of b bits is b/32 of a parameter and an operation on b bits b/32 of an operation. One
/// sample; E = values of a node's output, C = its channels, n = weights of a layer, m = n / C,
/// q_w and q_a = bits of a layer's weights and inputs.
///
/// course  [1 - (p_s + p_u)] * (q_w/32) * w / 5.6e6 + (1 - p_s) * (max(q_w, q_a)/32) * f / 2.8e8
///   w = learned values, biases and batch norm's gamma and beta included (the references, ResNet18
///   at 16 bits, are such counts: 11.17e6/2 and 555.4e6/2), f = multiply-accumulates of
///   convolutions and linear layers. Summed over the layers with the bits of each tensor: what is
///   no weight has 32. p_u = share of zeros in a layer's weights (no mask is counted); p_s is in
///   the graph itself. Scales, zero points and codebooks are not counted: the rule knows none.
/// course-folded  the same, but batch norm is folded first: gamma goes into a float weight or
///   becomes the scale of a coded one, beta becomes the bias. Only a batch norm that alone reads a
///   convolution or linear layer can be folded; another is a scale and a shift a channel.
/// course2021-script, per layer, qf = 32/q_w and k x k the kernel:
///   conv2d E * ((k*k*Cin/qf + k*k*Cin - 1)/groups + (1 with a bias)); linear E * (in/qf + in - 1)
///   with or without a bias; batch norm 3 E; ReLU E; average pooling E * k (the script means k*k);
///   all else 0. Only the multiplies are scaled. Storage: the learned values, as in course.
/// course2021-script-functional  the same without ReLUs and pooling, which the script's hooks do
///   not see where a network calls functions. Its reference, 834,362,880, is such a count.
/// course2021-readme  the script's operations with qf = 1, each at max(q_w, q_a)/32; an operation
///   without weights at the bits of its input, 32 unless a quantizer reads there. Where all layers
///   are given the same bits all operations have max(q_w, q_a).
///
/// micronet*
///   Storage: all that inference reads. Codes (q_w each), scales and codebook entries (32 bits),
///   zero points (32), the biases that are left when batch norm is folded as above. With zeros
///   known, the non-zero codes and a mask of one bit a weight, or a block of them, where that is
///   smaller (a ternary code needs 1 bit then). Multiplies: of a layer E * m * (1 - s), s = share
///   of zeros, at max(q_w, q_a) bits; a weight of +-1 times a float, whose sign bit stands alone,
///   at 1 bit, and a ternary weight likewise, since its zeros are skipped (they count while their
///   number is unknown); a codebook's entry is a float of 32 bits. Adds: E * (m (1 - s) - 1), at 32
///   bits where weights or inputs are floats, else
///     micronet             floor(log2(max |w| * max |x| * m)) + 1, the sum's magnitude as the
///                          entry RIAIR counted it (levels: 1 for +-1 and ternary, 2^(q_w-1) - 1
///                          for integer weights, 2^q_a - 1 for integer inputs), 32 at most
///     micronet-adder-tree  q_w + q_a bits for a product (one less if the inputs are signed), a bit
///                          more a level, floor(inputs/2) adders in each
///     micronet-float-adds  32
///   Then, all at 32 bits: a multiply per output value where a scale is left (a weight's scale, an
///   input's, a folded batch norm's go into one; into a float weight they vanish), an add where a
///   bias is; XNOR-Net's factor per position: |x| E_in, the sum over channels E_in - H*W, the box
///   filter H'W' (kh*kw - 1) adds and H'W' multiplies, and E multiplies to apply it.
///   Others: batch norm that cannot be folded E multiplies and E adds; add E adds; global average
///   pooling C multiplies and (H*W - 1) C adds, average pooling likewise per window; max pooling
///   E * (kh*kw - 1) comparisons; multiplies and adds per value of an activation: relu 1 0, sigmoid
///   2 1, silu 3 1 (the official counter's); leaky_relu 2 0, relu6 and hardtanh 2 0, tanh 1 0, gelu
///   4 1 (qhost's count of the rule's text: a comparison or a transcendental function is one).
///   An operation without weights has the bits of its quantized input, else 32.
///   Freebie: where nothing is coded in less than 16 bits or as integers, values and multiplies
///   count 16 bits; adds stay at 32. Conversions are free (integers up to 8 bits are exact in
///   float32).
///
/// An ensemble of sampled networks stores the codes of each, and runs once for each from the first
/// sampled layer on. A ReLU that every reader was moved in front of is not counted.
///
/// Sources: the final rules in micronet-challenge/micronet-challenge.github.io, counting.py of
/// google-research/micronet_challenge, the report of the entry RIAIR, lab4.md, readme_score.md and
/// profile.py of brain-bzh/efficient-deep-learning.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "qhost/graph.h"
#include "report/document.h"
#include "report/score_rules.h"
#include "report/summary.h"

namespace qhost::report {

/// Zeros of one weight tensor, pruned or not: what a rule may leave out.
struct Sparsity {
  std::int64_t nonzero = 0;
  std::int64_t block = 1;  ///< weights that one bit of the mask stands for
};

struct ScoreRequest {
  ScoreRule rule = ScoreRule::course;
  LayerPlans plans;                          ///< by node; ignored with `uniform`
  std::optional<UniformBits> uniform;        ///< the micronet rules keep biases at 32 bits
  std::map<std::string, Sparsity> sparsity;  ///< by conv2d or linear node; absent: dense
  std::string why_dense;                     ///< why `sparsity` is empty, for a note: "--dense"
  std::string data_set;                      ///< chooses the reference, "" = the rule's first
  std::optional<double> accuracy;            ///< test accuracy, a fraction of one
  std::optional<ScoreReference> reference;   ///< instead of the rule's own
};

/// `count` things of `bits` each: count * bits / 32 towards the score.
struct ScoreItem {
  std::string what;  ///< "weights", "mask"; "multiply", "add", "multiply-accumulate"
  double count = 0;
  double bits = 32;
};

struct ScoreLayer {
  std::string name, op, detail;
  std::optional<double> weight_bits, input_bits;  ///< conv2d and linear
  std::optional<std::int64_t> zeros;              ///< of its weights; empty where unknown
  std::vector<ScoreItem> stored, computed;

  double stored_values() const;  ///< items as they are
  double storage() const;        ///< of 32 bits
  double operation_count() const;
  double operations() const;
};

struct Score {
  ScoreRule rule = ScoreRule::course;
  ScoreReference reference;
  std::optional<UniformBits> uniform;
  double stored_parameters = 0;   ///< of 32 bits: a layer's storage(), summed
  double counted_operations = 0;  ///< of 32 bits
  double storage = 0;             ///< stored_parameters / reference.parameters
  double operations = 0;          ///< counted_operations / reference.operations
  double score = 0;               ///< the sum of these two
  std::optional<double> accuracy;
  std::optional<bool> qualifies;          ///< empty without an accuracy
  std::string why_not;                    ///< a sentence when it does not qualify
  bool freebie = false;                   ///< micronet: counted as 16 bits
  std::optional<double> without_freebie;  ///< the score at 32 bits, where it was taken
  std::optional<std::int64_t> zeros;      ///< of all weights; empty where none is known
  std::vector<std::string> notes;
  std::vector<ScoreLayer> layers;  ///< every node but the input, in order
};

/// Throws Error: kind configuration for a network without learned values and for an inconsistent
/// encoding, kind internal for plans or sparsities that do not fit the graph.
Score score(const Graph& graph, const ScoreRequest& request);

/// What its reader must know of the freebie; "" for a score without it.
std::string freebie_note(const Score& score);
/// Of `why_dense`: that zeros do not count.
std::string dense_note(const std::string& why_dense);

/// Text: the table (layer, operation, bits, zeros where there are any, values, storage, operations,
/// their weighted number, the layer's share of the score), then the totals and the notes.
/// JSON: {rule, score, storage, operations, threshold, accuracy, qualifies, why_not, data_set,
/// reference, stored_parameters, counted_operations, freebie, without_freebie, uniform, zeros,
/// notes, layers: [{name, op, detail, weight_bits, input_bits, zeros, storage, operations,
/// stored: [{what, count, bits}], computed}]}; storage and operations of a layer are of 32 bits; what
/// is unknown is null.
Document document_of(const Score& score);

}  // namespace qhost::report
