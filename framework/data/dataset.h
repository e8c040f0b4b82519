/// data/dataset.h: image sets as plain bytes, and the list of the sets that qhost knows.
///
/// A set is loaded whole: one array of bytes, one of labels. What an experiment may say about it
/// (`[data] name = "cifar10"`, `classes`, `fraction`, `validation`) is declared by DatasetInfo.
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
  /// Empty, or the images as a network reads them, in the same order and in the place of `pixels`,
  /// which then may be empty: whitened ones (data/whiten.h).
  std::vector<float> floats;
  std::vector<std::uint16_t> labels;        ///< 0 .. classes-1, after a label subset
  std::vector<std::uint32_t> source_index;  ///< position in the published set's own order

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
  bool empty() const { return labels.empty(); }
};

/// The images at `indices`, in that order.
Split take(const Split& split, const std::vector<std::uint32_t>& indices);

/// A loaded set. `source_index` counts from the first training image (train, and validation when it
/// was split off the training set) or from the first test image (test, and validation when
/// validation_is_test_images).
struct Dataset {
  std::string name;  ///< as in `[data] name`
  Shape image;       ///< {C, H, W}
  std::int64_t classes = 0;
  std::vector<std::string> class_names;  ///< `classes` of them
  /// Per channel, of pixel/255: what the set's users subtract and divide by. They belong to the
  /// whole training set and do not follow `classes`, `fraction` or `validation`.
  std::vector<float> mean, std;
  /// One line per file, "data_batch_1.bin, 30730000 bytes, sha256 ...", or where embedded data is
  /// from.
  std::string provenance;
  /// SHA-256 of each file's bytes, unpacked where it was packed, by the file's published name;
  /// empty for embedded data. Equal maps mean equal images.
  std::map<std::string, std::string> sha256;
  /// Empty, or what a reader of a result must know: "the pixels are not those of the published
  /// files: accuracies do not compare with published ones".
  std::string remark;
  /// What went wrong while loading and cost time only.
  std::vector<std::string> notes;
  Split train, validation, test;
  /// The course's MiniCIFAR takes its validation images from the test set.
  bool validation_is_test_images = false;
};

/// What an architecture needs to know, available without the data on disk.
struct DataContext {
  Shape image;
  std::int64_t classes = 0;
};

/// A set that qhost can load. `options` are those of its `[data]` table besides `name`.
struct DatasetInfo {
  std::string name;     ///< [a-z0-9_]+
  std::string summary;  ///< one line
  std::string source;   ///< who made it, where it is published
  std::string license;
  std::vector<Option> options;
  Shape image;
  std::int64_t classes = 0;  ///< with default options; context() knows the others
  /// Names of all classes before a label subset; the option `labels` of cifar100 chooses.
  std::function<std::vector<std::string>(const Options&)> class_names;
  /// Reads everything, checks it strictly, applies the options. Throws Error of kind data for a
  /// missing or malformed set, OptionError for options that do not fit the set.
  std::function<Dataset(const Options&)> load;
  const PublishedSet* files = nullptr;  ///< what it is read from; null for an embedded set
};

/// All sets, sorted by name. The list lives as long as the process.
const std::vector<DatasetInfo>& datasets();

/// The set of that name, or nullptr.
const DatasetInfo* find_dataset(std::string_view name);

/// Image shape and number of classes under these options, without touching the data. Throws
/// OptionError for a label subset that does not fit.
DataContext context(const DatasetInfo& info, const Options& options);

}  // namespace qhost::data
