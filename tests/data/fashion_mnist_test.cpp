#include "data/fashion_mnist.h"

#include <cmath>

#include "black_images.h"
#include "data/where.h"
#include "support.h"

namespace qhost::data::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

const fs::path debian = "/usr/share/datasets/fashion-mnist";

#define QHOST_NEED_FASHION_MNIST()                                                    \
  if (!fs::exists(debian)) {                                                          \
    GTEST_SKIP() << "no " << debian << ": install the package dataset-fashion-mnist"; \
  }

TEST(FashionMnist, AMissingSetNamesThePackageAndTheFourFiles) {
  expect_error(
      ErrorKind::data,
      {"fashion_mnist: the data set is not on this machine; its folder fashion-mnist was looked "
       "for in\n  /nonexistent (no folder)\n",
       "help: install Debian's package dataset-fashion-mnist (apt-get install "
       "dataset-fashion-mnist) and leave data.root out, or download these files of http://",
       " into '/nonexistent/fashion-mnist': train-images-idx3-ubyte.gz (MD5 "
       "8d4fb7e6c68d591d4c3dfef9ec88bf0d), train-labels-idx1-ubyte.gz (MD5 ",
       "t10k-images-idx3-ubyte.gz (MD5 ", "t10k-labels-idx1-ubyte.gz (MD5 ",
       "\nhelp: or name its place with data.root=FOLDER or QHOST_DATA"},
      [] {
        load("fashion_mnist", {{"root", "/nonexistent"}});
      });
}

TEST(FashionMnist, IsAlsoLookedForWhereDebianPutsIt) {
  const auto searched = search_path(fashion_mnist_files(), "");
  ASSERT_GE(searched.size(), 2U);
  EXPECT_EQ(searched[searched.size() - 2], debian);
  EXPECT_THAT(search_path(fashion_mnist_files(), "/here"),
              ElementsAre("/here/fashion-mnist", "/here"));
}

TEST(FashionMnist, OtherImagesInTheSameFilesAreRemarked) {
  const Folder root;
  make_black_images(root / "fashion-mnist");
  const Dataset set =
      load("fashion_mnist", {{"root", root.path().string()}, {"validation", std::int64_t{5000}}});
  EXPECT_EQ(set.image, (Shape{{1, 28, 28}}));
  EXPECT_EQ(set.train.count(), 55000);
  EXPECT_EQ(set.validation.count(), 5000);
  EXPECT_EQ(set.test.count(), 10000);
  EXPECT_EQ(set.test.pixels, std::vector<std::uint8_t>(7840000, 0));
  EXPECT_EQ(set.remark,
            "not the published files (MNIST's have the same names and sizes): "
            "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
            "t10k-labels-idx1-ubyte: accuracies do not compare with published ones");

  for (const SetStatus& status : where(root.path().string())) {
    if (status.name != "fashion_mnist") continue;
    EXPECT_EQ(status.state, SetState::present) << status.problem;
    EXPECT_EQ(status.folder, root / "fashion-mnist");
    EXPECT_GT(status.bytes, 47040016 + 7840016);
    EXPECT_LT(status.bytes, 47040016 + 7840016 + 10008) << "the labels are packed";
  }
  fs::remove(root / "fashion-mnist/train-images-idx3-ubyte");
  fs::resize_file(root / "fashion-mnist/t10k-images-idx3-ubyte", 9);
  fs::resize_file(root / "fashion-mnist/t10k-labels-idx1-ubyte.gz", 0);
  for (const SetStatus& status : where(root.path().string())) {
    if (status.name != "fashion_mnist") continue;
    EXPECT_EQ(status.state, SetState::damaged);
    EXPECT_EQ(status.problem,
              "train-images-idx3-ubyte is missing, also as .gz; t10k-images-idx3-ubyte has 9 "
              "bytes, not 7840016; t10k-labels-idx1-ubyte.gz is empty");
    EXPECT_THAT(status.how_to_get, HasSubstr("dataset-fashion-mnist"));
  }
}

TEST(FashionMnist, TheFilesMayLieInTheNamedFolderItself) {
  const Folder root;
  make_black_images(root.path());
  EXPECT_EQ(load("fashion_mnist", {{"root", root.path().string()}}).train.count(), 60000);
}

TEST(FashionMnist, ThePublishedSet) {
  QHOST_NEED_FASHION_MNIST();
  const Folder home;
  const Variable own("HOME", home.path().string()), given("QHOST_DATA", std::nullopt);
  const Variable xdg("XDG_DATA_HOME", std::nullopt);
  EXPECT_EQ(find_folder(fashion_mnist_files(), ""), debian);
  const Dataset set = load("fashion_mnist");
  EXPECT_EQ(set.remark, "");
  ASSERT_EQ(set.train.count(), 60000);
  ASSERT_EQ(set.test.count(), 10000);
  EXPECT_EQ(set.class_names.size(), 10U);
  for (const auto& [split, each] : {std::pair(&set.train, 6000), std::pair(&set.test, 1000)}) {
    std::vector<int> counts(10, 0);
    for (const auto label : split->labels) ++counts[label];
    EXPECT_THAT(counts, Each(each));
  }
  EXPECT_EQ(set.class_names[set.train.labels[0]], "Ankle boot");
  double sum = 0, squares = 0;
  for (const double pixel : set.train.pixels) {
    sum += pixel / 255;
    squares += pixel / 255 * (pixel / 255);
  }
  const double n = static_cast<double>(set.train.pixels.size());
  EXPECT_NEAR(set.mean.at(0), sum / n, 5e-5);
  EXPECT_NEAR(set.std.at(0), std::sqrt(squares / n - sum / n * (sum / n)), 5e-5);
}

}  // namespace
}  // namespace qhost::data::testing
