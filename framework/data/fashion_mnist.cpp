#include "data/fashion_mnist.h"

#include <array>
#include <cstddef>

#include "data/common_options.h"
#include "data/normalization.h"

namespace qhost::data {
namespace {

/// SHA-256 of the uncompressed files, in the order of idx_files(). Hashes of the .gz files would
/// not work: Debian's package has the same bytes, compressed again.
constexpr std::array<const char*, 4> published_sha256 = {
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"};

constexpr std::array<const char*, 4> published_md5 = {
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"};

const std::vector<std::string>& class_names() {
  static const std::vector<std::string> names = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                                 "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                                 "Bag",         "Ankle boot"};
  return names;
}

std::string remark(const std::vector<std::string>& sha256) {
  std::string files;
  for (std::size_t i = 0; i < published_sha256.size(); ++i) {
    if (sha256[i] == published_sha256[i]) continue;
    files += (files.empty() ? "" : ", ") + fashion_mnist_files().files[i].name;
  }
  if (files.empty()) return "";
  return "not the published files (MNIST's have the same names and sizes): " + files +
         ": accuracies do not compare with published ones";
}

Dataset load(const Options& options) {
  const auto folder =
      require_folder("fashion_mnist", fashion_mnist_files(), options.string("root"));
  IdxSet read = read_idx_set(fashion_mnist_layout(), folder);
  Dataset set = std::move(read.set);
  set.class_names = class_names();
  normalize_as_published(set, "fashion_mnist");
  set.remark = remark(read.sha256);
  apply_selection(set, options);
  return set;
}

}  // namespace

const IdxLayout& fashion_mnist_layout() {
  static const IdxLayout layout = {"fashion_mnist", 28, 28, 10, 60000, 10000};
  return layout;
}

const PublishedSet& fashion_mnist_files() {
  static const PublishedSet set = [] {
    PublishedSet about;
    about.folder = "fashion-mnist";
    about.url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/";
    about.files = idx_files(fashion_mnist_layout());
    for (std::size_t i = 0; i < about.files.size(); ++i) about.files[i].md5 = published_md5[i];
    about.package = "dataset-fashion-mnist";
    about.package_folder = "/usr/share/datasets";
    return about;
  }();
  return set;
}

DatasetInfo fashion_mnist() {
  DatasetInfo info;
  info.name = "fashion_mnist";
  info.summary =
      "70,000 gray pictures of clothes, 28x28 pixels, 10 classes (60,000 train, "
      "10,000 test)";
  info.source =
      "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv 1708.07747, 2017; "
      "https://github.com/zalandoresearch/fashion-mnist";
  info.license = "MIT";
  info.options = common_options();
  info.image = Shape{{1, 28, 28}};
  info.classes = 10;
  info.files = &fashion_mnist_files();
  info.class_names = [](const Options&) { return class_names(); };
  info.load = load;
  return info;
}

}  // namespace qhost::data
