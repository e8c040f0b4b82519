#include "config/extends.h"

#include <algorithm>
#include <system_error>
#include <vector>

#include "config/diagnostic_codes.h"
#include "config/guard.h"
#include "config/merge.h"

namespace qhost::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_depth = 16;
constexpr int max_files = 64;

class Loader {
 public:
  explicit Loader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  Document load(const fs::path& path, const Span& wanted_by) {
    Document document;
    std::error_code error;
    fs::path identity = fs::weakly_canonical(path, error);
    if (error) identity = path;
    if (!may_enter(path, identity, wanted_by)) return document;
    const auto text = read_file(path, wanted_by, diagnostics_);
    if (!text) return document;
    Document own = parse_document(path.string(), *text, diagnostics_);
    document.complete = own.complete;
    open_.push_back({path, identity});
    if (const Entry* extends = own.root.find("extends")) {
      for (const auto& [name, span] : bases_of(*extends)) {
        const fs::path base = (path.parent_path() / name).lexically_normal();
        const Document below = load(base, span);
        document.complete = document.complete && below.complete;
        merge(document.root, below.root, MergeLevel::experiment, diagnostics_);
      }
      own.root.erase("extends");
    }
    open_.pop_back();
    merge(document.root, own.root, MergeLevel::experiment, diagnostics_);
    return document;
  }

 private:
  struct Open {
    fs::path path, identity;
  };
  struct Base {
    std::string name;
    Span span;
  };

  bool may_enter(const fs::path& path, const fs::path& identity, const Span& wanted_by) {
    const auto same = std::find_if(open_.begin(), open_.end(),
                                   [&](const Open& open) { return open.identity == identity; });
    Diagnostic diagnostic;
    diagnostic.primary.span = wanted_by;
    if (same != open_.end()) {
      std::string chain;
      for (auto file = same; file != open_.end(); ++file) chain += file->path.string() + " -> ";
      diagnostic.code = code::extends_cycle;
      diagnostic.message = "a file extends itself: " + chain + path.string();
      diagnostic.helps.push_back("move what both files share to a third one");
    } else if (files_ > max_files) {
      return false;  // already reported
    } else if (open_.size() >= max_depth || ++files_ > max_files) {
      diagnostic.code = code::extends_depth;
      diagnostic.message = open_.size() >= max_depth
                               ? "more than " + std::to_string(max_depth) + " files deep"
                               : "more than " + std::to_string(max_files) + " files in all";
      diagnostic.helps.push_back("extend fewer files, each with more in it");
    } else {
      return true;
    }
    diagnostics_.add(std::move(diagnostic));
    return false;
  }

  std::vector<Base> bases_of(const Entry& extends) {
    std::vector<Base> bases;
    const auto add = [&](const Value& value) {
      if (value.string() != nullptr && !value.string()->empty()) {
        bases.push_back({*value.string(), value.span});
        return;
      }
      Diagnostic diagnostic;
      diagnostic.code = code::wrong_type;
      diagnostic.message = "`extends`: expected the path of a file, found " +
                           std::string(kind_name(value)) + ' ' + value_text(value);
      diagnostic.primary.span = value.span;
      diagnostic.helps.push_back("write extends = \"base/cifar10.toml\" or a list of such paths");
      diagnostics_.add(std::move(diagnostic));
    };
    if (const Array* list = extends.value.array()) {
      for (const Value& value : *list) add(value);
    } else {
      add(extends.value);
    }
    return bases;
  }

  Diagnostics& diagnostics_;
  std::vector<Open> open_;
  int files_ = 0;
};

}  // namespace

Document load_document(const fs::path& file, Diagnostics& diagnostics) {
  return Loader(diagnostics).load(file, {});
}

}  // namespace qhost::config
