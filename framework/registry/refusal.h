/// registry/refusal.h: the error for a plugin file that cannot be used.
#pragma once

#include <filesystem>
#include <string>

#include "qhost/error.h"

namespace qhost {

/// what(): "FILE is not a usable plugin: CLAUSE\nhelp: HELP"; kind plugin, exit code 3.
class PluginRefusal : public Error {
 public:
  PluginRefusal(const std::filesystem::path& file, std::string clause, std::string help);
  ~PluginRefusal() override;
  const std::string& clause() const noexcept { return clause_; }

 private:
  std::string clause_;
};

}  // namespace qhost
