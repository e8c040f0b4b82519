// Reading a packed file: every key is checked, and then the program as a whole.
#include <cmath>
#include <cstring>
#include <limits>

#include "common/utf8.h"
#include "graph/json_object.h"
#include "packed/infer_shape.h"
#include "packed/program_file.h"
#include "packed/program_words.h"
#include "sdk/codebook_levels.h"
#include "storage/safetensors.h"

namespace qhost::packed {
namespace {

using nlohmann::json;

const char* word_of(StepOp op) {
  return to_string(op);
}
const char* word_of(Activation activation) {
  return qhost::to_string(activation);
}
const char* word_of(CodeKind kind) {
  return qhost::to_string(kind);
}
template <class Enum>
const char* word(Enum value) {
  return word_of(value);
}

Size2 read_size(JsonObject& object, const char* key, std::int64_t fallback) {
  if (!object.has(key)) return fallback;
  if (object.at(key).is_number_integer()) return object.small_integer(key);
  return object.size(key);
}

/// How deep the lists and objects of a JSON text lie in each other: nlohmann::json copies and writes
/// a value by calls of functions in each other.
std::size_t depth_of(const std::string& text) {
  std::size_t depth = 0, deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

bool has_control(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (is_control(next_code_point(text, at))) return true;
  }
  return false;
}

/// The last 40 bits of every number that is read here stay within the limits of the checks.
float read_float(JsonObject& object, const char* key) {
  const double value = object.real(key);
  if (std::abs(value) > std::numeric_limits<float>::max()) {
    object.fail(std::string("has a number beyond float32 under `") + key + "`");
  }
  return static_cast<float>(value);
}

class Reader {
 public:
  explicit Reader(storage::File file)
      : source_{file.name(), "the file is damaged, or no packed network of qhost: write it anew"},
        file_(std::move(file)) {}

  Program read() {
    check_version();
    const json program = parse("program");
    JsonObject root(source_, "the program", program);
    read_provenance();
    const json& steps = root.array("steps");
    if (steps.size() > most_steps) root.fail("has " + std::to_string(steps.size()) + " steps");
    for (std::size_t i = 0; i < steps.size(); ++i) {
      read_step(JsonObject(source_, "steps[" + std::to_string(i) + "]", steps[i]));
    }
    program_.output = root.small_integer("output");
    root.finish();
    for (const auto& [name, unused] : file_.tensors()) {
      if (!taken_.contains(name)) root.fail("says nothing of the tensor `" + name + "`");
    }
    const std::string why = why_invalid(program_);
    if (!why.empty()) root.fail("is not sound: " + why);
    return std::move(program_);
  }

 private:
  static constexpr std::size_t most_steps = 1 << 20;
  static constexpr std::size_t deepest = 64;

  std::string metadata(const char* key) const {
    const auto found = file_.metadata().find(key);
    if (found != file_.metadata().end()) return found->second;
    throw Error(ErrorKind::storage,
                source_.file + ": the metadata have no `" + key + "`, so this is no packed network",
                "`qhost export RUN -o FILE.safetensors` writes one");
  }

  void check_version() const {
    if (metadata("format") != file_format) {
      throw Error(ErrorKind::storage,
                  source_.file + " has the format `" + escape_controls(metadata("format")) +
                      "`, not `" + file_format + "`",
                  "`qhost export RUN -o FILE.safetensors` writes a packed network");
    }
    const std::string version = metadata("version");
    const bool digits = !version.empty() && version.size() <= 6 &&
                        version.find_first_not_of("0123456789") == std::string::npos;
    if (digits && std::stoi(version) >= 1 && std::stoi(version) <= format_version) return;
    throw Error(ErrorKind::storage,
                source_.file + " has version `" + escape_controls(version) +
                    "` of the packed format, and this build " + "reads up to " +
                    std::to_string(format_version),
                "read it with the qhost that wrote it, or a later one");
  }

  json parse(const char* key) const {
    const std::string text = metadata(key);
    std::string fault;
    if (depth_of(text) > deepest) {
      fault = "has more than " + std::to_string(deepest) + " levels of lists and objects";
    } else {
      // The parser alone would take the last of two equal keys.
      std::vector<std::set<std::string>> keys;
      const auto visit = [&](int, json::parse_event_t event, const json& parsed) {
        if (event == json::parse_event_t::object_start) keys.emplace_back();
        if (event == json::parse_event_t::object_end) keys.pop_back();
        if (event == json::parse_event_t::key &&
            !keys.back().insert(parsed.get<std::string>()).second && fault.empty()) {
          fault = "has the key `" + escape_controls(parsed.get<std::string>()) + "` twice";
        }
        return true;
      };
      json value = json::parse(text, visit, /*allow_exceptions=*/false);
      if (value.is_discarded()) fault = "is no JSON";
      if (fault.empty()) return value;
    }
    throw Error(ErrorKind::storage, source_.file + ": the metadata `" + key + "` " + fault,
                source_.help);
  }

  void read_provenance() {
    const json value = parse("provenance");
    JsonObject object(source_, "the provenance", value);
    Provenance& p = program_.provenance;
    p.name = printable(object, "name", object.string("name"));
    for (const json& name : object.array("classes")) {
      if (!name.is_string()) object.fail("names a class by no string");
      p.class_names.push_back(printable(object, "classes", name.get<std::string>()));
    }
    const auto numbers = [&](const char* key) {
      std::vector<double> list;
      for (const json& number : object.array(key)) {
        if (!number.is_number()) object.fail(std::string("has no numbers under `") + key + "`");
        list.push_back(number.get<double>());
      }
      return list;
    };
    p.mean = numbers("mean");
    p.deviation = numbers("std");
    p.more = object.at("more");
    if (!p.more.is_object()) object.fail("has no object under `more`");
    object.finish();
  }

  /// A name, which programs print.
  static std::string printable(const JsonObject& object, const char* key, std::string name) {
    if (has_control(name)) {
      object.fail(std::string("has a control character under `") + key + "`: `" + name + "`");
    }
    return name;
  }

  const storage::TensorView* tensor(const JsonObject& about, const std::string& name,
                                    const char* dtype) {
    const storage::TensorView* found = file_.find(name);
    if (found == nullptr) return nullptr;
    if (found->dtype != dtype) {
      about.fail("needs `" + name + "` as " + dtype + ", and the file has " + found->dtype);
    }
    taken_.insert(name);
    return found;
  }

  template <class Number>
  std::vector<Number> values(const storage::TensorView& view) {
    std::vector<Number> list(view.bytes / sizeof(Number));
    if (!list.empty()) std::memcpy(list.data(), view.data, list.size() * sizeof(Number));
    return list;
  }

  /// From the JSON or from a tensor; empty if it is in neither.
  template <class Number>
  std::vector<Number> numbers(JsonObject& object, const char* key, const std::string& name,
                              const char* dtype) {
    const storage::TensorView* view = tensor(object, name, dtype);
    if (!object.has(key)) return view ? values<Number>(*view) : std::vector<Number>();
    if (view) object.fail(std::string("has `") + key + "`, and the file a tensor `" + name + "`");
    std::vector<Number> list;
    for (const json& number : object.array(key)) {
      list.push_back(one<Number>(object, key, number));
    }
    return list;
  }

  template <class Number>
  static Number one(const JsonObject& object, const char* key, const json& number) {
    using Limits = std::numeric_limits<Number>;
    const bool good =
        std::is_floating_point_v<Number> ? number.is_number() : number.is_number_integer();
    const double value = good ? number.get<double>() : 0;
    if (!good || !(value >= static_cast<double>(Limits::lowest()) &&
                   value <= static_cast<double>(Limits::max()))) {
      object.fail(std::string("has a number of another kind or size under `") + key + "`");
    }
    return static_cast<Number>(value);
  }

  void read_step(JsonObject object) {
    Step step;
    step.name = printable(object, "name", object.string("name"));
    step.op = object.word("op", every_op, word<StepOp>);
    if (object.has("in")) {
      for (const json& input : object.array("in")) {
        step.inputs.push_back(one<std::int32_t>(object, "in", input));
        if (step.inputs.back() < 0 ||
            step.inputs.back() >= static_cast<int>(program_.steps.size())) {
          object.fail("reads step " + std::to_string(step.inputs.back()) +
                      ", which does not stand before it");
        }
      }
    }
    read_options(object, step);
    if (object.has("weight")) read_weight(object, step);
    read_numbers(object, step);
    if (object.has("codes")) read_codes(object, step);
    object.finish();
    std::string why;
    const std::optional<Shape> shape = infer_shape(program_, step, why);
    if (!shape) object.fail("`" + step.name + "`: " + why);
    step.shape = *shape;
    program_.steps.push_back(std::move(step));
  }

  static void read_options(JsonObject& object, Step& step) {
    if (step.op == StepOp::input) step.shape.dims = object.integers("shape");
    if (step.op == StepOp::subsample) step.shape.dims = {object.integer("channels")};
    const bool pools = step.op == StepOp::max_pool || step.op == StepOp::average_pool;
    if (pools) step.kernel = read_size(object, "kernel", 1);
    if (pools || step.op == StepOp::conv2d || step.op == StepOp::subsample) {
      step.stride = read_size(object, "stride", 1);
    }
    if (pools || step.op == StepOp::conv2d) step.padding = read_size(object, "pad", 0);
    if (step.op == StepOp::conv2d) {
      if (object.has("groups")) step.groups = object.small_integer("groups");
      if (object.has("pad_level")) step.padding_level = read_float(object, "pad_level");
    }
    if (step.op == StepOp::conv2d || step.op == StepOp::linear) {
      if (object.has("position")) step.position = object.boolean("position");
    }
    if (step.op == StepOp::round) {
      step.rounding = object.word("to", every_rounding, word<CodeKind>);
    }
    if (step.op == StepOp::activation) {
      step.activation = object.word("kind", every_activation, word<Activation>);
      if (step.activation == Activation::leaky_relu) step.slope = object.real("slope");
    }
  }

  void read_weight(JsonObject& object, Step& step) {
    JsonObject about = object.object("weight");
    StoredTensor weight;
    weight.shape = about.integers("shape");
    Encoding& encoding = weight.encoding;
    read_kind(about, encoding);
    weight.zero_point =
        numbers<std::int32_t>(about, "zero_point", step.name + weight_zero_point_suffix, "I32");
    weight.table = numbers<float>(about, "table", step.name + weight_table_suffix, "F32");
    const auto channels = weight.shape.empty() ? 1 : weight.shape[0];
    fit(encoding, weight.zero_point.size(), weight.table.size(), channels);
    about.finish();
    const char* dtype = encoding.kind == CodeKind::float32    ? "F32"
                        : encoding.kind == CodeKind::float16  ? "F16"
                        : encoding.kind == CodeKind::bfloat16 ? "U16"
                                                              : "U8";
    const storage::TensorView* view = tensor(about, step.name + weight_suffix, dtype);
    if (view == nullptr) about.fail("has no tensor `" + step.name + weight_suffix + "`");
    weight.codes = values<std::uint8_t>(*view);
    const std::string why = qhost::why_invalid(weight);
    if (!why.empty()) about.fail("is not sound: " + why);
    step.weight = std::move(weight);
    if (step.op != StepOp::conv2d) return;
    if (step.weight->shape.size() == 4) {
      step.kernel = {step.weight->shape[2], step.weight->shape[3]};
    }
  }

  static void read_kind(JsonObject& about, Encoding& encoding) {
    encoding.kind = about.word("kind", every_kind, word<CodeKind>);
    switch (encoding.kind) {
      case CodeKind::float32:
        encoding.bits = 32;
        break;
      case CodeKind::float16:
      case CodeKind::bfloat16:
        encoding.bits = 16;
        break;
      case CodeKind::binary:
        encoding.bits = 1;
        break;
      case CodeKind::ternary:
        encoding.bits = 2;
        break;
      case CodeKind::uniform:
        encoding.bits = about.small_integer("bits");
        break;
      case CodeKind::codebook:
        encoding.bits = about.small_integer("bits");
        encoding.levels =
            about.has("levels") ? about.small_integer("levels") : levels_of_bits(encoding.bits);
        break;
    }
  }

  /// One entry is one for all; the checks of the whole compare the numbers with the encoding.
  static void fit(Encoding& encoding, std::size_t zero_points, std::size_t table,
                  std::int64_t channels) {
    encoding.zero_point = zero_points == 0   ? ZeroPointKind::none
                          : zero_points == 1 ? ZeroPointKind::tensor
                                             : ZeroPointKind::channel;
    encoding.codebook_per_channel = encoding.kind == CodeKind::codebook && encoding.levels > 0 &&
                                    channels > 1 &&
                                    table > static_cast<std::size_t>(encoding.levels);
  }

  void read_numbers(JsonObject& object, Step& step) {
    if (const storage::TensorView* both = tensor(object, step.name + affine_suffix, "F32")) {
      if (both->shape.size() != 2 || both->shape[0] != 2) {
        object.fail("needs `" + step.name + affine_suffix + "` with two rows");
      }
      const std::vector<float> all = values<float>(*both);
      const auto half = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
      step.scale.assign(all.begin(), half);
      step.bias.assign(half, all.end());
      return;
    }
    step.scale = numbers<float>(object, "scale", step.name + scale_suffix, "F32");
    step.bias = numbers<float>(object, "bias", step.name + bias_suffix, "F32");
  }

  void read_codes(JsonObject& object, Step& step) {
    JsonObject about = object.object("codes");
    Codes codes;
    read_kind(about, codes.encoding);
    codes.scale = numbers<float>(about, "scale", step.name + code_scale_suffix, "F32");
    codes.zero_point =
        numbers<std::int32_t>(about, "zero_point", step.name + code_zero_point_suffix, "I32");
    codes.table = numbers<float>(about, "table", step.name + code_table_suffix, "F32");
    about.finish();
    codes.encoding.scale = codes.scale.empty()       ? ScaleKind::none
                           : codes.scale.size() == 1 ? ScaleKind::tensor
                                                     : ScaleKind::channel;
    const auto entries = static_cast<std::size_t>(std::max(codes.encoding.levels, 0));
    fit(codes.encoding, codes.zero_point.size(), codes.table.size(),
        entries > 0 && codes.table.size() > entries ? 2 : 1);
    step.codes = std::move(codes);
    if (step.op == StepOp::encode) {
      step.thresholds = numbers<float>(object, "threshold", step.name + threshold_suffix, "F32");
    } else {
      step.sum_thresholds =
          numbers<std::int32_t>(object, "threshold", step.name + threshold_suffix, "I32");
    }
    step.direction = numbers<std::int8_t>(object, "direction", step.name + direction_suffix, "I8");
  }

  const JsonSource source_;
  const storage::File file_;
  Program program_;
  std::set<std::string> taken_;
};

}  // namespace

Program from_bytes(std::string_view bytes, const std::string& name) {
  return Reader(storage::File::parse(bytes, name)).read();
}

Program read_program(const std::filesystem::path& file) {
  return Reader(storage::File::read(file)).read();
}

}  // namespace qhost::packed
