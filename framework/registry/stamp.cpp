#include "registry/stamp.h"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "registry/elf_section.h"
#include "registry/refusal.h"

namespace qhost {
namespace {

constexpr std::size_t stamp_limit = 16 << 10;
constexpr std::size_t value_limit = 4096;
constexpr std::string_view marker = "QHOST-STAMP-1";
constexpr std::string_view marker_stem = "QHOST-STAMP-";

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// Accepts printable ASCII only, since these texts reach a terminal.
bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::vector<std::string> split_provides(const std::string& list) {
  std::vector<std::string> components;
  std::size_t begin = 0;
  while (begin <= list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string component = list.substr(begin, end - begin);
    const std::size_t colon = component.find(':');
    const std::string kind = component.substr(0, colon);
    if ((kind != "architecture" && kind != "quantizer") || colon == std::string::npos ||
        !is_name(std::string_view(component).substr(colon + 1))) {
      throw std::invalid_argument("provides \"" + component +
                                  "\", which is not architecture:name or quantizer:name");
    }
    if (std::find(components.begin(), components.end(), component) != components.end()) {
      throw std::invalid_argument("provides \"" + component + "\" twice");
    }
    components.push_back(component);
    begin = end + 1;
  }
  return components;
}

std::string first_word(const std::string& text) {
  return text.substr(0, text.find(' '));
}

long year_and_month(const std::string& standard) {
  return std::strtol(standard.c_str(), nullptr, 10);  // "202002L"; 0 if it is not a number
}

using Lines = std::map<std::string, std::string, std::less<>>;

/// The lines key=value between the marker and the end.
Lines lines_of(std::string_view text) {
  Lines lines;
  bool first = true, ended = false;
  while (!ended) {
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) {
      throw std::invalid_argument(first ? "does not begin with QHOST-STAMP-1"
                                        : "has no line \"end\"");
    }
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    if (line.size() > value_limit || !is_printable(line)) {
      throw std::invalid_argument(first ? "does not begin with QHOST-STAMP-1"
                                        : "holds a line that is too long or not printable");
    }
    if (first) {
      if (line != marker && line.substr(0, marker_stem.size()) == marker_stem) {
        throw std::invalid_argument("has the format \"" + std::string(line) +
                                    "\", this qhost reads \"" + std::string(marker) + "\"");
      }
      if (line != marker) throw std::invalid_argument("does not begin with QHOST-STAMP-1");
      first = false;
    } else if (line == "end") {
      ended = true;
    } else {
      const std::size_t equals = line.find('=');
      if (equals == std::string_view::npos || equals == 0) {
        throw std::invalid_argument("holds the line \"" + std::string(line) +
                                    "\", which is not key=value");
      }
      const std::string key(line.substr(0, equals));
      if (!lines.emplace(key, line.substr(equals + 1)).second) {
        throw std::invalid_argument("has two lines \"" + key + "=\"");
      }
    }
  }
  return lines;
}

}  // namespace

bool Stamp::provides_component(std::string_view kind, std::string_view component) const {
  const std::string wanted = std::string(kind) + ":" + std::string(component);
  return std::find(provides.begin(), provides.end(), wanted) != provides.end();
}

Stamp parse_stamp(std::string_view text) {
  const Lines lines = lines_of(text);
  const auto take = [&lines](const char* key) {
    const auto line = lines.find(key);
    if (line == lines.end() || line->second.empty()) {
      throw std::invalid_argument(
          std::string(line == lines.end() ? "has no line \"" : "has nothing after \"") + key +
          "=\"");
    }
    return line->second;
  };
  Stamp stamp;
  stamp.name = take("name");
  stamp.version = take("version");
  stamp.abi = take("abi");
  stamp.compiler = take("compiler");
  stamp.stdlib = take("stdlib");
  stamp.cxx11abi = take("cxx11abi");
  stamp.standard = take("standard");
  stamp.build_type = take("build_type");
  stamp.glibcxx_debug = take("glibcxx_debug");
  stamp.sanitizers = take("sanitizers");
  stamp.torch = take("torch");
  stamp.sdk = take("sdk");
  if (!is_name(stamp.name)) {
    throw std::invalid_argument("gives the name \"" + stamp.name +
                                "\": up to 64 of a-z, 0-9 and _ are allowed");
  }
  stamp.provides = split_provides(take("provides"));
  return stamp;
}

Stamp read_stamp(const std::filesystem::path& file) {
  const std::string text = read_elf_section(file, "qhost", stamp_limit);
  try {
    return parse_stamp(text);
  } catch (const std::invalid_argument& error) {
    throw PluginRefusal(file, std::string("its stamp ") + error.what(),
                        "build it again with the qhost_add_plugin() of this qhost");
  }
}

std::string StampMismatch::text() const {
  return what + ": " + plugin + " in the plugin, " + host + " in this qhost";
}

std::vector<StampMismatch> compare(const Stamp& plugin, const Stamp& host) {
  std::vector<StampMismatch> mismatches;
  const auto check = [&mismatches](const char* what, const std::string& in_plugin,
                                   const std::string& in_host, bool equal, bool refuses) {
    if (!equal) mismatches.push_back({what, in_plugin, in_host, refuses});
  };
  const auto exact = [&](const char* what, std::string Stamp::*member, bool refuses = true) {
    check(what, plugin.*member, host.*member, plugin.*member == host.*member, refuses);
  };
  const auto family = [&](const char* what, std::string Stamp::*member) {
    check(what, plugin.*member, host.*member,
          first_word(plugin.*member) == first_word(host.*member), true);
  };
  exact("plugin ABI number", &Stamp::abi);
  exact("LibTorch version", &Stamp::torch);
  family("compiler", &Stamp::compiler);
  family("C++ standard library", &Stamp::stdlib);
  exact("_GLIBCXX_USE_CXX11_ABI", &Stamp::cxx11abi);
  exact("_GLIBCXX_DEBUG", &Stamp::glibcxx_debug);
  exact("sanitizers", &Stamp::sanitizers);
  exact("C++ standard", &Stamp::standard,
        year_and_month(plugin.standard) < year_and_month(host.standard));
  exact("build type", &Stamp::build_type, false);
  return mismatches;
}

}  // namespace qhost
