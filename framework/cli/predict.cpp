/// qhost predict: classifies image files with a packed network.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/packed_file.h"
#include "common/lines.h"
#include "common/number_text.h"
#include "common/utf8.h"
#include "config/diagnostic.h"
#include "data/augment.h"
#include "images/fit.h"
#include "images/image_file.h"
#include "qhost/error.h"
#include "runtime/engine.h"

namespace qhost::cli {
namespace {

/// What becomes of one file: logits, or an error.
struct Prediction {
  std::string file;
  std::vector<std::string> notes;
  std::vector<float> logits;
  std::optional<Error> error;
};

/// e^logit / sum of e^logit.
std::vector<double> softmax(const std::vector<float>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> values;
  for (const float logit : logits) values.push_back(std::exp(logit - largest));
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  for (double& value : values) value /= sum;
  return values;
}

/// Image files to logits.
class Classifier {
 public:
  /// Throws Error (configuration) for a network that cannot read image files.
  Classifier(packed::Program program, int threads)
      : engine_(std::make_shared<runtime::Engine>(std::move(program))),
        runner_(engine_, threads),
        normalizer_(input(), normalization()) {}

  const packed::Provenance& about() const { return engine_->program().provenance; }
  std::size_t classes() const { return engine_->classes(); }
  /// What holds for every image.
  std::vector<std::string> notes() const {
    if (!about().mean.empty() && !about().deviation.empty()) return {};
    return {"the packed network has no mean and deviation: its inputs are pixel / 255"};
  }

  std::vector<Prediction> classify(const std::vector<std::string>& files) {
    std::vector<Prediction> predictions;
    std::vector<float> inputs, logits;
    for (const std::string& file : files) predictions.push_back(read(file, inputs));
    const std::size_t count = inputs.size() / engine_->input_values();
    logits.resize(count * classes());
    runner_.run(inputs.data(), count, logits.data());
    auto from = logits.begin();
    for (Prediction& one : predictions) {
      if (one.error) continue;
      one.logits.assign(from, from + static_cast<std::ptrdiff_t>(classes()));
      from += static_cast<std::ptrdiff_t>(classes());
      check_finite(one);
    }
    return predictions;
  }

 private:
  const Shape& input() const {
    const packed::Program& program = engine_->program();
    const Shape& shape = program.input().shape;
    if (!shape.is_image() || (shape.channels() != 1 && shape.channels() != 3)) {
      throw Error(ErrorKind::configuration,
                  "the packed network reads inputs of shape " + shape_text(shape.dims) +
                      ", and image files give 1 or 3 channels",
                  "run it through sdk/include/qhost_runtime.h");
    }
    const nlohmann::json& more = program.provenance.more;
    if (more.contains("whitening")) {
      throw Error(ErrorKind::configuration,
                  "the packed network was trained on whitened images (" +
                      more.at("whitening").dump() +
                      "), and its file has no statistics to whiten others with",
                  "`qhost eval` evaluates its run; train without augment.whitening for a network "
                  "that reads image files");
    }
    return shape;
  }

  /// Evaluation's, so that a sum has the same bits here and there.
  data::AugmentOptions normalization() const {
    const auto channels = static_cast<std::size_t>(input().channels());
    data::AugmentOptions options;
    options.mean.assign(about().mean.begin(), about().mean.end());
    options.std.assign(about().deviation.begin(), about().deviation.end());
    if (options.mean.empty()) options.mean.assign(channels, 0.0F);
    if (options.std.empty()) options.std.assign(channels, 1.0F);
    return options;
  }

  /// Appends the input of the network to `inputs`, or says why there is none.
  Prediction read(const std::string& file, std::vector<float>& inputs) const {
    Prediction one{.file = file};
    try {
      const Shape& shape = input();
      images::Fitted fitted =
          images::fit(images::read_image(file), shape.channels(), shape.height(), shape.width());
      one.notes = std::move(fitted.notes);
      const std::vector<std::uint8_t>& pixels = fitted.image.pixels;
      const auto channels = static_cast<std::size_t>(shape.channels());
      const std::size_t plane = pixels.size() / channels;
      std::vector<std::uint8_t> planes(pixels.size());
      for (std::size_t i = 0; i < pixels.size(); ++i) {
        planes[i % channels * plane + i / channels] = pixels[i];
      }
      inputs.resize(inputs.size() + pixels.size());
      normalizer_.write(planes.data(), {}, &inputs[inputs.size() - pixels.size()],
                        data::Layout::nchw);
    } catch (const Error& error) {
      one.error = error;
    } catch (const std::bad_alloc&) {
      one.error = Error(ErrorKind::data, file + ": there is no memory for its pixels",
                        "scale the image down first");
    }
    return one;
  }

  void check_finite(Prediction& one) const {
    for (std::size_t k = 0; k < one.logits.size(); ++k) {
      if (std::isfinite(one.logits[k])) continue;
      one.error = Error(ErrorKind::diverged,
                        one.file + ": the network's output " + std::to_string(k) + " is " +
                            significant(one.logits[k]),
                        "`qhost verify RUN` says whether the packed network is at fault");
      return;
    }
  }

  std::shared_ptr<runtime::Engine> engine_;
  runtime::Runner runner_;
  data::Augmenter normalizer_;
};

/// The classes from the most probable on; of equal ones the first.
std::vector<std::size_t> ranked(const std::vector<float>& logits) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  return order;
}

/// "  cat    91.20 %"
report::Facts lines_of(const report::Table& table) {
  report::Facts lines{{}, 0};
  for (const report::Table::Row& row : table.rows()) {
    const std::string label = "  " + row.cells[1].text;
    lines.text_column = std::max(lines.text_column, display_width(escape_controls(label)) + 2);
    const std::string& text = row.cells[2].text;
    lines.facts.push_back(
        {"", {}, label, std::string(text.size() < 8 ? 8 - text.size() : 0, ' ') + text});
  }
  return lines;
}

report::Document document_of(const Prediction& one, const packed::Provenance& about,
                             std::size_t top) {
  report::Document document;
  document.add(report::Facts{{{"image", one.file}}});
  if (one.error) return document.add(report::Facts{{{"error", config::to_json(*one.error)}}});
  report::Table table("classes", {{"index", ""}, {"name", ""}, {"probability", ""}, {"logit", ""}});
  table.restrict_to(report::Form::json);
  const std::vector<double> probabilities = softmax(one.logits);
  std::vector<std::size_t> order = ranked(one.logits);
  order.resize(std::min(top, order.size()));
  for (const std::size_t k : order) {
    const bool named = !about.class_names.empty();
    table.add_row(
        {report::json_cell(k),
         named ? report::Cell(about.class_names[k]) : report::Cell(nullptr, std::to_string(k)),
         {probabilities[k], fixed(100 * probabilities[k], 2) + " %"},
         report::json_cell(one.logits[k])});
  }
  document.add(report::Heading{one.file}).add(lines_of(table)).add(std::move(table));
  report::Notes notes{"notes", {}};
  for (const std::string& note : one.notes) notes.notes.push_back({one.file + ": " + note});
  return document.add(std::move(notes));
}

int execute(Context&, const Arguments& arguments) {
  const std::vector<std::string> files(arguments.positional().begin() + 1,
                                       arguments.positional().end());
  if (files.empty()) {
    throw Error(ErrorKind::configuration, "qhost predict: no image was given",
                "`qhost predict FILE IMAGE...` classifies the images with the packed network FILE");
  }
  const auto top = static_cast<std::size_t>(arguments.number("top", 5, 1000000));
  const int threads = arguments.number("threads", 1, 1024);
  const bool json = arguments.flag("json");
  Classifier classifier(read_packed_file(arguments.positional().at(0)), threads);
  for (const std::string& note : classifier.notes()) std::cerr << "note: " << note << "\n";

  DocumentStream stream(json);
  int exit_code = 0;
  bool first = true;
  // One image for each thread: the first result does not wait for the last file.
  const auto batch = static_cast<std::size_t>(threads);
  for (std::size_t i = 0; i < files.size(); i += batch) {
    const auto begin = files.begin() + static_cast<std::ptrdiff_t>(i);
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min(batch, files.size() - i));
    for (const Prediction& one : classifier.classify({begin, end})) {
      const report::Document document = document_of(one, classifier.about(), top);
      if (one.error) {
        std::cout << std::flush;
        std::cerr << "error: " << without_last_breaks(one.error->what()) << "\n";
        if (exit_code == 0) exit_code = one.error->exit_code();
        if (!json) continue;
      }
      if (!json && !std::exchange(first, false)) std::cout << "\n";
      stream.add(document);
    }
  }
  stream.finish();
  return exit_code;
}

}  // namespace

Command predict_command() {
  return {.name = "predict",
          .summary = "classify image files with a packed network",
          .arguments = "FILE IMAGE...",
          .details =
              "FILE is a packed network (`qhost export`), IMAGE a PNG or JPEG. An image of "
              "another size than\nthe network's is resized to its shorter side and cropped at the "
              "center. An image that cannot\nbe read is reported, and the others are classified; "
              "the exit code is that of the first failure.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("top", "how many classes to show (default 5)")
                    .value("threads", "of the network (default 1)")
                    .flag("json", "as JSON: an array with an object for each image")
                    .positional("packed network", 1, 1000000);
              },
          .execute = execute};
}

}  // namespace qhost::cli
