#include "data/dataset.h"

#include <algorithm>
#include <cstddef>

#include "data/add_dataset.h"
#include "data/cifar.h"
#include "data/common_options.h"
#include "data/digits.h"
#include "data/fashion_mnist.h"
#include "data/minicifar.h"
#include "qhost/error.h"

namespace qhost::data {

namespace {

template <class Value>
std::vector<Value> rows(const std::vector<Value>& values, std::size_t count,
                        const std::vector<std::uint32_t>& indices) {
  std::vector<Value> out;
  const std::size_t size = values.size() / count;
  out.reserve(indices.size() * size);
  for (const std::size_t i : indices) {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(i * size);
    out.insert(out.end(), first, first + static_cast<std::ptrdiff_t>(size));
  }
  return out;
}

std::vector<DatasetInfo>& known_sets() {
  static std::vector<DatasetInfo> all = {cifar10(), cifar100(), digits(), fashion_mnist(),
                                         minicifar()};
  return all;
}

}  // namespace

Split take(const Split& split, const std::vector<std::uint32_t>& indices) {
  Split out;
  if (indices.empty()) return out;
  out.pixels = rows(split.pixels, split.labels.size(), indices);
  out.floats = rows(split.floats, split.labels.size(), indices);
  for (const std::size_t i : indices) {
    out.labels.push_back(split.labels.at(i));
    out.source_index.push_back(split.source_index.at(i));
  }
  return out;
}

const std::vector<DatasetInfo>& datasets() {
  return known_sets();
}

void add_dataset(DatasetInfo info) {
  if (find_dataset(info.name) != nullptr) {
    throw Error(ErrorKind::internal, "there is a data set `" + info.name + "` already",
                "give the new one another name");
  }
  std::vector<DatasetInfo>& all = known_sets();
  const auto place = std::find_if(all.begin(), all.end(),
                                  [&](const DatasetInfo& other) { return other.name > info.name; });
  all.insert(place, std::move(info));
}

const DatasetInfo* find_dataset(std::string_view name) {
  const auto& all = datasets();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const DatasetInfo& info) { return info.name == name; });
  return found == all.end() ? nullptr : &*found;
}

DataContext context(const DatasetInfo& info, const Options& options) {
  const auto total = static_cast<std::int64_t>(info.class_names(options).size());
  return {info.image, static_cast<std::int64_t>(chosen_classes(options, total).size())};
}

}  // namespace qhost::data
