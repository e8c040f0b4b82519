/// data/idx.h: sets in the IDX format of MNIST (LeCun, Cortes, Burges).
///
/// A file is 00 00, the type of a value (08: unsigned byte), the number of dimensions, one
/// big-endian 32-bit number for each dimension, then the values in C order. Images have three
/// dimensions, labels one. Each file may be plain or compressed with gzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/gzip_reader.h"
#include "data/published_set.h"

namespace qhost::data {

/// The layout of one set; tests define smaller ones.
struct IdxLayout {
  std::string name;
  std::int64_t height = 0, width = 0;
  int classes = 0;
  std::int64_t train = 0, test = 0;  ///< images
};

/// The four files with the sizes that follow from the layout: train images, train labels, test
/// images, test labels.
std::vector<PublishedFile> idx_files(const IdxLayout& layout);

/// Reads the values of one file, which must have exactly these dimensions. Throws Error (data) with
/// the file, the byte offset, the value found and the value expected. Whatever the file declares or
/// expands to, it reads and allocates no more than the dimensions need.
std::vector<std::uint8_t> read_idx(GzipReader& file, const std::vector<std::int64_t>& dimensions);

struct IdxSet {
  Dataset set;                      ///< splits, image shape, number of classes, provenance
  std::vector<std::string> sha256;  ///< of the uncompressed files, in the order of idx_files()
};

/// Reads and checks all four files, also the range of the labels. Throws as read_idx().
IdxSet read_idx_set(const IdxLayout& layout, const std::filesystem::path& folder);

}  // namespace qhost::data
