/// data/cifar.h: the published binary layout of CIFAR-10 and CIFAR-100 (Krizhevsky 2009).
///
/// A file is a sequence of records: label bytes, then 3x32x32 pixel bytes (red, green, blue
/// planes).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/published_set.h"

namespace qhost::data {

struct CifarFile {
  std::string name;
  std::int64_t records = 0;
};

struct CifarLabel {
  std::string name;  ///< "label", "coarse label"
  int classes = 0;
};

/// The layout of one set; tests define smaller ones.
struct CifarLayout {
  std::string name;
  std::vector<CifarLabel> labels;  ///< the leading bytes of a record
  std::vector<CifarFile> train, test;

  std::int64_t record_bytes() const { return static_cast<std::int64_t>(labels.size()) + 3072; }
};

/// The published layouts and their archives.
const CifarLayout& cifar10_layout();
const CifarLayout& cifar100_layout();
const PublishedSet& cifar10_files();
const PublishedSet& cifar100_files();
const std::vector<std::string>& cifar10_names();
const std::vector<std::string>& cifar100_fine_names();
const std::vector<std::string>& cifar100_coarse_names();

/// Reads train and test from `folder`; the labels are those of label byte `label` of the layout.
/// Fills in the splits, image shape and provenance. Checks every label byte, unused ones too.
/// Throws Error (data) with the file, the byte offset, the value found and the value expected.
Dataset read_cifar(const CifarLayout& layout, const std::filesystem::path& folder,
                   std::size_t label);

/// The sets for the list in data/dataset.h.
DatasetInfo cifar10();
DatasetInfo cifar100();

}  // namespace qhost::data
