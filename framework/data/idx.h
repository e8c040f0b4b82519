/// data/idx.h: sets in the IDX files that MNIST was published in (LeCun, Cortes, Burges).
///
/// A file is 00 00, the type of a value (08: unsigned byte), the number of dimensions, one
/// big-endian 32-bit number for each, then the values in C order. Images have three dimensions,
/// labels one. Each file may lie there as it is or packed with gzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/gzip_reader.h"
#include "data/published_set.h"

namespace qhost::data {

/// What distinguishes the sets; tests describe smaller ones.
struct IdxLayout {
  std::string name;
  std::int64_t height = 0, width = 0;
  int classes = 0;
  std::int64_t train = 0, test = 0;  ///< images
};

/// The four files in the order train images, train labels, test images, test labels, with the
/// sizes that follow from the layout.
std::vector<PublishedFile> idx_files(const IdxLayout& layout);

/// The values of one file, which must have exactly these dimensions. Throws Error of kind data
/// that names the file, the byte offset, what is there and what was expected. No more is read, and
/// no more memory taken, than the dimensions ask for, whatever the file declares or unpacks to.
std::vector<std::uint8_t> read_idx(GzipReader& file, const std::vector<std::int64_t>& dimensions);

struct IdxSet {
  Dataset set;                      ///< splits, image shape, number of classes, provenance
  std::vector<std::string> sha256;  ///< of the unpacked files, in the order of idx_files()
};

/// Reads and checks all four files, the labels' range too. Throws as read_idx.
IdxSet read_idx_set(const IdxLayout& layout, const std::filesystem::path& folder);

}  // namespace qhost::data
