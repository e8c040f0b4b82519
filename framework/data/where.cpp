#include "data/where.h"

#include <system_error>

#include "data/dataset.h"
#include "data/published_set.h"

namespace qhost::data {
namespace fs = std::filesystem;
namespace {

void inspect(const PublishedSet& set, const std::string& root, SetStatus& status) {
  for (const fs::path& folder : search_path(set, root)) {
    std::error_code error;
    const fs::path full = fs::absolute(folder, error);
    status.searched.push_back(error ? folder : full.lexically_normal());
  }
  status.how_to_get = how_to_get(set, root);
  const auto folder = find_folder(set, root);
  if (!folder) return;
  std::error_code error;
  status.folder = fs::absolute(*folder, error).lexically_normal();
  for (const PublishedFile& file : set.files) {
    const std::string problem = file_problem(*folder, file);
    if (!problem.empty()) {
      status.problem += (status.problem.empty() ? "" : "; ") + problem;
    }
    const auto size = fs::file_size(file_path(*folder, file), error);
    if (!error) status.bytes += static_cast<std::int64_t>(size);
  }
  status.state = status.problem.empty() ? SetState::present : SetState::damaged;
  if (status.state == SetState::present) status.how_to_get.clear();
}

}  // namespace

const char* to_string(SetState state) {
  switch (state) {
    case SetState::embedded:
      return "embedded";
    case SetState::present:
      return "present";
    case SetState::damaged:
      return "damaged";
    case SetState::missing:
      return "missing";
  }
  return "?";
}

std::vector<SetStatus> where(const std::string& root) {
  std::vector<SetStatus> out;
  for (const DatasetInfo& info : datasets()) {
    SetStatus status;
    status.name = info.name;
    status.summary = info.summary;
    status.source = info.source;
    status.license = info.license;
    if (info.files != nullptr) {
      inspect(*info.files, root, status);
    } else {
      status.state = SetState::embedded;
    }
    out.push_back(std::move(status));
  }
  return out;
}

}  // namespace qhost::data
