#include "data/cifar.h"

#include <cstddef>
#include <span>
#include <utility>

#include "data/common_options.h"
#include "data/normalization.h"
#include "data/numpy_random.h"
#include "storage/sha256.h"

namespace qhost::data {
namespace {

/// SHA-256 of the pixels of the first images of the published training set. It distinguishes the
/// published set from re-encoded copies.
struct Fingerprint {
  std::size_t images;
  const char* sha256;
};
constexpr Fingerprint cifar10_fingerprint = {
    932, "12f159bc440e480e3075017fb31125db03593e2476ba8dbb9a501f503447dd7d"};
constexpr Fingerprint cifar100_fingerprint = {
    486, "07c6d3350e417cf36ccb0d64008d1e758a6996f43a565ffde00ea1787131f9ab"};

/// The seed of the course's shuffle of the training set.
constexpr std::uint32_t course_seed = 2147483647;

std::string remark(const Split& train, const Fingerprint& published) {
  const auto head = std::as_bytes(std::span(train.pixels)).first(published.images * 3072);
  if (storage::sha256(head) == published.sha256) return "";
  return "the pixels differ from the published files (re-encoded images?): accuracies do not "
         "compare "
         "with published ones";
}

PublishedSet published(const CifarLayout& layout, std::string folder, std::string archive,
                       std::string md5, std::string python_folder) {
  PublishedSet set{std::move(folder),
                   archive,
                   "https://www.cs.toronto.edu/~kriz/" + archive,
                   std::move(md5),
                   {}};
  set.python_folder = std::move(python_folder);
  for (const auto* files : {&layout.train, &layout.test}) {
    for (const CifarFile& file : *files) {
      set.files.push_back({file.name, file.records * layout.record_bytes()});
    }
  }
  return set;
}

}  // namespace

const CifarLayout& cifar10_layout() {
  static const CifarLayout layout = {"cifar10",
                                     {{"label", 10}},
                                     {{"data_batch_1.bin", 10000},
                                      {"data_batch_2.bin", 10000},
                                      {"data_batch_3.bin", 10000},
                                      {"data_batch_4.bin", 10000},
                                      {"data_batch_5.bin", 10000}},
                                     {{"test_batch.bin", 10000}}};
  return layout;
}

const CifarLayout& cifar100_layout() {
  static const CifarLayout layout = {"cifar100",
                                     {{"coarse label", 20}, {"fine label", 100}},
                                     {{"train.bin", 50000}},
                                     {{"test.bin", 10000}}};
  return layout;
}

const PublishedSet& cifar10_files() {
  static const PublishedSet set =
      published(cifar10_layout(), "cifar-10-batches-bin", "cifar-10-binary.tar.gz",
                "c32a1d4ab5d03f1284b67883e8d87530", "cifar-10-batches-py");
  return set;
}

const PublishedSet& cifar100_files() {
  static const PublishedSet set =
      published(cifar100_layout(), "cifar-100-binary", "cifar-100-binary.tar.gz",
                "03b5dce01913d631647c71ecec9e9cb8", "cifar-100-python");
  return set;
}

const std::vector<std::string>& cifar10_names() {
  static const std::vector<std::string> names = {
      "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  return names;
}

const std::vector<std::string>& cifar100_fine_names() {
  static const std::vector<std::string> names = {
      "apple",       "aquarium_fish", "baby",      "bear",       "beaver",       "bed",
      "bee",         "beetle",        "bicycle",   "bottle",     "bowl",         "boy",
      "bridge",      "bus",           "butterfly", "camel",      "can",          "castle",
      "caterpillar", "cattle",        "chair",     "chimpanzee", "clock",        "cloud",
      "cockroach",   "couch",         "crab",      "crocodile",  "cup",          "dinosaur",
      "dolphin",     "elephant",      "flatfish",  "forest",     "fox",          "girl",
      "hamster",     "house",         "kangaroo",  "keyboard",   "lamp",         "lawn_mower",
      "leopard",     "lion",          "lizard",    "lobster",    "man",          "maple_tree",
      "motorcycle",  "mountain",      "mouse",     "mushroom",   "oak_tree",     "orange",
      "orchid",      "otter",         "palm_tree", "pear",       "pickup_truck", "pine_tree",
      "plain",       "plate",         "poppy",     "porcupine",  "possum",       "rabbit",
      "raccoon",     "ray",           "road",      "rocket",     "rose",         "sea",
      "seal",        "shark",         "shrew",     "skunk",      "skyscraper",   "snail",
      "snake",       "spider",        "squirrel",  "streetcar",  "sunflower",    "sweet_pepper",
      "table",       "tank",          "telephone", "television", "tiger",        "tractor",
      "train",       "trout",         "tulip",     "turtle",     "wardrobe",     "whale",
      "willow_tree", "wolf",          "woman",     "worm"};
  return names;
}

const std::vector<std::string>& cifar100_coarse_names() {
  static const std::vector<std::string> names = {"aquatic_mammals",
                                                 "fish",
                                                 "flowers",
                                                 "food_containers",
                                                 "fruit_and_vegetables",
                                                 "household_electrical_devices",
                                                 "household_furniture",
                                                 "insects",
                                                 "large_carnivores",
                                                 "large_man-made_outdoor_things",
                                                 "large_natural_outdoor_scenes",
                                                 "large_omnivores_and_herbivores",
                                                 "medium_mammals",
                                                 "non-insect_invertebrates",
                                                 "people",
                                                 "reptiles",
                                                 "small_mammals",
                                                 "trees",
                                                 "vehicles_1",
                                                 "vehicles_2"};
  return names;
}

DatasetInfo cifar10() {
  DatasetInfo info;
  info.name = "cifar10";
  info.summary = "60,000 color photographs of 32x32 pixels, 10 classes (50,000 train, 10,000 test)";
  info.source =
      "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; "
      "https://www.cs.toronto.edu/~kriz/cifar.html";
  info.license = "none stated by its authors";
  info.options = common_options();
  info.options.push_back(
      Option::integer("course_images", 0,
                      "use the first N training images as numpy.random.RandomState(2147483647) "
                      "shuffles them (15000: the first lab of brain-bzh/ai-optim); 0 uses all")
          .at_least(0)
          .at_most(50000));
  info.image = Shape{{3, 32, 32}};
  info.classes = 10;
  info.files = &cifar10_files();
  info.class_names = [](const Options&) { return cifar10_names(); };
  info.load = [](const Options& options) {
    const auto folder = require_folder("cifar10", cifar10_files(), options.string("root"));
    Dataset set = read_cifar(cifar10_layout(), folder, 0);
    set.class_names = cifar10_names();
    normalize_as_published(set, "cifar10");
    set.remark = remark(set.train, cifar10_fingerprint);
    if (const std::int64_t images = options.integer("course_images"); images > 0) {
      std::vector<std::uint32_t> order = numpy_permutation(course_seed, 50000);
      order.resize(static_cast<std::size_t>(images));
      set.train = take(set.train, order);
    }
    apply_selection(set, options);
    return set;
  };
  return info;
}

DatasetInfo cifar100() {
  DatasetInfo info;
  info.name = "cifar100";
  info.summary =
      "60,000 color photographs of 32x32 pixels, 100 classes in 20 groups (50,000 train, "
      "10,000 test)";
  info.source = cifar10().source;
  info.license = cifar10().license;
  info.options = common_options();
  info.options.push_back(Option::string("labels", "fine", "the 100 classes or their 20 groups")
                             .one_of({"fine", "coarse"}));
  info.image = Shape{{3, 32, 32}};
  info.classes = 100;
  info.files = &cifar100_files();
  info.class_names = [](const Options& options) {
    return options.string("labels") == "fine" ? cifar100_fine_names() : cifar100_coarse_names();
  };
  info.load = [names = info.class_names](const Options& options) {
    const auto folder = require_folder("cifar100", cifar100_files(), options.string("root"));
    Dataset set = read_cifar(cifar100_layout(), folder, options.string("labels") == "fine" ? 1 : 0);
    set.class_names = names(options);
    normalize_as_published(set, "cifar100");
    set.remark = remark(set.train, cifar100_fingerprint);
    apply_selection(set, options);
    return set;
  };
  return info;
}

}  // namespace qhost::data
