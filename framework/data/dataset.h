/// data/dataset.h: image sets as plain bytes, and the list of the sets that qhost knows.
///
/// A set is loaded as a whole: one array of bytes, one of labels. DatasetInfo declares its options
/// in an experiment (`[data] name = "cifar10"`, `classes`, `fraction`, `validation`).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "qhost/graph.h"
#include "qhost/options.h"

namespace qhost::data {

struct PublishedSet;  // data/published_set.h

/// Images of equal shape with their labels.
struct Split {
  std::vector<std::uint8_t> pixels;  ///< count x C x H x W, row-major, 0..255
  /// Whitened images (data/whiten.h) as the network reads them, in the same order; `pixels` may
  /// then be empty. Empty for a set that is not whitened.
  std::vector<float> floats;
  std::vector<std::uint16_t> labels;        ///< 0 .. classes-1, after a label subset
  std::vector<std::uint32_t> source_index;  ///< position in the published set's own order

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
  bool empty() const { return labels.empty(); }
};

/// A split with the images at `indices`, in that order.
Split take(const Split& split, const std::vector<std::uint32_t>& indices);

/// A loaded set. `source_index` counts from the first training image for train, and for a
/// validation split that was taken from the training set. It counts from the first test image for
/// test, and for validation if validation_is_test_images.
struct Dataset {
  std::string name;  ///< as in `[data] name`
  Shape image;       ///< {C, H, W}
  std::int64_t classes = 0;
  std::vector<std::string> class_names;  ///< one per class
  /// Mean and standard deviation per channel, of pixel/255, for normalization. They belong to the
  /// whole training set and do not change with `classes`, `fraction` or `validation`.
  std::vector<float> mean, std;
  /// One line per file, "data_batch_1.bin, 30730000 bytes, sha256 ...", or the source of embedded
  /// data.
  std::string provenance;
  /// SHA-256 of each file's uncompressed bytes, by the file's published name; empty for embedded
  /// data. Equal maps mean equal images.
  std::map<std::string, std::string> sha256;
  /// What a reader of a result must know, or "": "the pixels are not those of the published files:
  /// accuracies do not compare with published ones".
  std::string remark;
  /// Problems while loading that cost only time.
  std::vector<std::string> notes;
  Split train, validation, test;
  /// True for the course's MiniCIFAR, which takes its validation images from the test set.
  bool validation_is_test_images = false;
};

/// The facts that an architecture needs, available without the data on disk.
struct DataContext {
  Shape image;
  std::int64_t classes = 0;
};

/// A set that qhost can load. `options` are those of its `[data]` table, without `name`.
struct DatasetInfo {
  std::string name;     ///< [a-z0-9_]+
  std::string summary;  ///< one line
  std::string source;   ///< authors and place of publication
  std::string license;
  std::vector<Option> options;
  Shape image;
  std::int64_t classes = 0;  ///< with default options; see context() for others
  /// Names of all classes before a label subset. The option `labels` of cifar100 selects the list.
  std::function<std::vector<std::string>(const Options&)> class_names;
  /// Reads and checks the whole set and applies the options. Throws Error (data) for a missing or
  /// malformed set, OptionError for options that do not fit the set.
  std::function<Dataset(const Options&)> load;
  const PublishedSet* files = nullptr;  ///< the files of the set; null for an embedded set
};

/// All sets, sorted by name. The list is valid as long as the process.
const std::vector<DatasetInfo>& datasets();

/// The set of that name, or null.
const DatasetInfo* find_dataset(std::string_view name);

/// Image shape and number of classes under these options, without reading the data. Throws
/// OptionError for a label subset that does not fit.
DataContext context(const DatasetInfo& info, const Options& options);

}  // namespace qhost::data
