/// Shared by the tests of config: a catalog without plugins, a folder of files.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "config/load.h"

namespace qhost::config {

/// Components as plugins declare them. `refused` exists in a plugin that was refused.
class TestCatalog : public Catalog {
 public:
  TestCatalog() {
    const auto data = [](const char* root_help) {
      return std::vector<Option>{
          Option::string("root", "", root_help).not_part_of_result(),
          Option::integer("validation", 0, "images split off the training set").at_least(0),
          Option::integers("classes", {}, "the classes that are kept; empty: all").at_least(0),
          Option::real("fraction", 1, "of each class that is kept").above(0).at_most(1)};
    };
    kinds_["data"] = {{"cifar10", data("folder of the files")}, {"digits", data("unused")}};
    kinds_["model"] = {
        {"resnet",
         {Option::integer("depth", 20, "weighted layers, 6n+2").at_least(8).at_most(1202),
          Option::string("family", "cifar", "published variant").one_of({"cifar", "imagenet"}),
          Option::boolean("preactivation", false, "batch norm and ReLU before each convolution"),
          Option::integers("widths", {16, 32, 64}, "channels of the stages").at_least(1)}},
        {"wideresnet",
         {Option::required("depth", OptionType::integer, "weighted layers, 6n+4").at_least(10),
          Option::real("widen_factor", 1, "times 16, 32, 64 channels").above(0),
          Option::real("dropout", 0, "between the convolutions of a block").at_least(0).below(1)}}};
    kinds_["quantizer"] = {
        {"binaryconnect",
         {Option::string("mode", "deterministic", "how a weight becomes a sign")
              .one_of({"deterministic", "stochastic"}),
          Option::string("lr_scale", "none", "factor of the learning rate")
              .one_of({"none", "glorot"})}},
        {"bwn",
         {Option::string("gradient", "algorithm1", "through the scale")
              .one_of({"algorithm1", "text", "exact"})
              .from_paper("arXiv:1603.05279, section 3.1")}},
        {"uniform", {Option::integer("bits", 8, "of a code").at_least(1).at_most(8)}}};
  }

  const std::vector<Option>* find(const std::string& kind, const std::string& name) override {
    if (name == "refused") {
      throw Error(ErrorKind::plugin,
                  "plugin /opt/refused.so is refused\nit was built for LibTorch 1.0.0, this is "
                  "2.15.0");
    }
    const auto found = kinds_[kind].find(name);
    return found == kinds_[kind].end() ? nullptr : &found->second;
  }
  std::vector<std::string> names(const std::string& kind) override {
    std::vector<std::string> list;
    for (const auto& [name, options] : kinds_[kind]) list.push_back(name);
    return list;
  }
  std::vector<std::string> default_keep_float(const std::string& quantizer) override {
    return quantizer == "bwn" ? std::vector<std::string>{"first", "last"}
                              : std::vector<std::string>{};
  }
  std::string explain_missing(const std::string& kind, const std::string&) override {
    return kind == "data" ? "" : "searched: /usr/lib/qhost/plugins";
  }

 private:
  std::map<std::string, std::map<std::string, std::vector<Option>>> kinds_;
};

/// A folder that is removed with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qhost-config-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

 private:
  std::filesystem::path path_;
};

/// The shortest experiment.
inline const std::string minimal = "[data]\nname = \"digits\"\n[model]\nname = \"resnet\"\n";

/// All diagnostics, one line each, without the folder's path.
inline std::string concise(const std::vector<Diagnostic>& diagnostics,
                           const std::filesystem::path& folder = {}) {
  std::string text;
  for (const auto& diagnostic : diagnostics) text += render_concise(diagnostic) + '\n';
  const std::string prefix = folder.string() + '/';
  for (auto at = text.find(prefix); !folder.empty() && at != std::string::npos;
       at = text.find(prefix)) {
    text.erase(at, prefix.size());
  }
  return text;
}

}  // namespace qhost::config
