#include "data/cifar.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "storage/sha256.h"
#include "support.h"

namespace qhost::data::testing {
namespace {

using ::testing::ElementsAre;

const CifarLayout small10 = {
    "cifar10", {{"label", 10}}, {{"a.bin", 300}, {"b.bin", 7}}, {{"t.bin", 5}}};
const CifarLayout small100 = {"cifar100",
                              {{"coarse label", 20}, {"fine label", 100}},
                              {{"train.bin", 150}},
                              {{"test.bin", 3}}};

struct Small10 : ::testing::Test {
  Folder folder;
  void SetUp() override {
    write_file(folder / "a.bin", records(small10, 300));
    write_file(folder / "b.bin", records(small10, 7));
    write_file(folder / "t.bin", records(small10, 5));
  }
  void expect_refused(const std::vector<std::string>& parts) {
    expect_error(ErrorKind::data, parts, [&] { read_cifar(small10, folder.path(), 0); });
  }
};

TEST_F(Small10, FilesFollowOneAnother) {
  const Dataset set = read_cifar(small10, folder.path(), 0);
  EXPECT_EQ(set.image, (Shape{{3, 32, 32}}));
  EXPECT_EQ(set.classes, 10);
  ASSERT_EQ(set.train.count(), 307);
  ASSERT_EQ(set.test.count(), 5);
  for (std::int64_t i = 0; i < 307; ++i) {
    const std::int64_t r = i < 300 ? i : i - 300;
    const auto at = static_cast<std::size_t>(i);
    ASSERT_EQ(set.train.labels[at], r % 10);
    ASSERT_EQ(set.train.source_index[at], i);
    for (std::int64_t p = 0; p < 3072; ++p) {
      ASSERT_EQ(set.train.pixels[static_cast<std::size_t>(i * 3072 + p)], (7 * r + p) % 256);
    }
  }
  EXPECT_THAT(set.provenance, HasSubstr("b.bin, 21511 bytes, sha256 " +
                                        storage::sha256(records(small10, 7)) + "\nt.bin"));
}

TEST_F(Small10, TruncatedFile) {
  fs::resize_file(folder / "a.bin", 3073 * 200 + 11);
  expect_refused({(folder / "a.bin").string(), "truncated at byte 614611, in record 200",
                  "921900 bytes expected (300 records of 3073 bytes)", "help: "});
  fs::resize_file(folder / "a.bin", 0);
  expect_refused({"truncated at byte 0, in record 0"});
}

TEST_F(Small10, TooLongFile) {
  fs::resize_file(folder / "t.bin", 3073 * 5 + 1);
  expect_refused({(folder / "t.bin").string(), "has 15366 bytes; 15365 bytes expected (5 records"});
}

TEST_F(Small10, MissingFile) {
  fs::remove(folder / "b.bin");
  expect_refused(
      {"cifar10: b.bin is missing in " + folder.path().string(), "help: unpack the archive"});
}

TEST_F(Small10, LabelOutOfRange) {
  poke(folder / "a.bin", 3073 * 299, 10);
  expect_refused({(folder / "a.bin").string(),
                  "label 10 at byte 918827 (record 299) is outside 0..9",
                  "help: the file is not the published one"});
  poke(folder / "a.bin", 0, 255);
  expect_refused({"label 255 at byte 0 (record 0) is outside 0..9"});
}

TEST_F(Small10, NotAFile) {
  fs::remove(folder / "a.bin");
  fs::create_directory(folder / "a.bin");
  expect_refused({"a.bin is not a regular file in"});
}

TEST_F(Small10, Unreadable) {
  fs::remove(folder / "a.bin");
  fs::create_symlink("a.bin", folder / "a.bin");
  expect_refused({"a.bin cannot be read: Too many levels of symbolic links"});
  fs::remove(folder / "a.bin");
  fs::create_symlink("gone", folder / "a.bin");
  expect_refused({"a.bin is missing"});
}

TEST_F(Small10, NoPermission) {
  fs::permissions(folder / "a.bin", fs::perms::none);
  // root can read every file: become user nobody, who may list the folder.
  const uid_t self = geteuid();
  fs::permissions(folder.path(), fs::perms::others_exec | fs::perms::group_exec,
                  fs::perm_options::add);
  if (self == 0) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  expect_refused({"a.bin cannot be opened: Permission denied", "help: check its permissions"});
  ASSERT_EQ(seteuid(self), 0);
}

TEST(Cifar100, BothLabelsAreCheckedAndEitherIsUsed) {
  const Folder folder;
  write_file(folder / "train.bin", records(small100, 150));
  write_file(folder / "test.bin", records(small100, 3));
  const Dataset coarse = read_cifar(small100, folder.path(), 0);
  const Dataset fine = read_cifar(small100, folder.path(), 1);
  EXPECT_EQ(coarse.classes, 20);
  EXPECT_EQ(fine.classes, 100);
  EXPECT_EQ(coarse.train.labels[145], 145 % 20);
  EXPECT_EQ(fine.train.labels[145], 45);
  EXPECT_EQ(fine.train.pixels, coarse.train.pixels);
  EXPECT_EQ(fine.train.pixels[3072 + 5], 7 + 5);

  poke(folder / "train.bin", 3074 * 2 + 1, 100);
  expect_error(ErrorKind::data, {"fine label 100 at byte 6149 (record 2) is outside 0..99"},
               [&] { read_cifar(small100, folder.path(), 0); });
  poke(folder / "train.bin", 3074, 20);
  expect_error(ErrorKind::data, {"coarse label 20 at byte 3074 (record 1) is outside 0..19"},
               [&] { read_cifar(small100, folder.path(), 1); });
}

TEST(Cifar100, NamesAreThePublishedOnes) {
  QHOST_NEED_DATA(fine, "cifar100/fine_label_names.txt");
  const auto joined = [](const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names) out += name + "\n";
    return out;
  };
  EXPECT_EQ(joined(cifar100_fine_names()), read_text(fine));
  EXPECT_EQ(joined(cifar100_coarse_names()),
            read_text(test_data() / "cifar100" / "coarse_label_names.txt"));
}

TEST(Cifar10, APublishedHeadReadsAsItIs) {
  QHOST_NEED_DATA(head, "cifar10/data_batch_1.head.bin");
  const CifarLayout layout = {"cifar10", {{"label", 10}}, {{head.filename().string(), 932}}, {}};
  const Dataset set = read_cifar(layout, head.parent_path(), 0);
  // frog, truck, truck, deer, automobile: the first images of the set, known from tutorials.
  EXPECT_THAT(std::vector<int>(set.train.labels.begin(), set.train.labels.begin() + 5),
              ElementsAre(6, 9, 9, 4, 1));
  EXPECT_EQ(set.train.pixels[0], 59);
  EXPECT_EQ(set.train.pixels[1024], 62);
  EXPECT_EQ(set.train.pixels[2048], 63);
}

TEST(Cifar100, APublishedHeadReadsAsItIs) {
  QHOST_NEED_DATA(head, "cifar100/train.head.bin");
  const CifarLayout layout = {"cifar100", small100.labels, {{head.filename().string(), 486}}, {}};
  const Dataset fine = read_cifar(layout, head.parent_path(), 1);
  const Dataset coarse = read_cifar(layout, head.parent_path(), 0);
  EXPECT_EQ(cifar100_fine_names()[fine.train.labels[0]], "cattle");
  EXPECT_EQ(cifar100_coarse_names()[coarse.train.labels[0]], "large_omnivores_and_herbivores");
}

struct WholeCifar10 : ::testing::Test {
  Folder root;
  fs::path folder = root / "cifar-10-batches-bin";
  void SetUp() override { make_sparse_cifar10(folder); }
};

TEST_F(WholeCifar10, LoadsAndSaysThatThePixelsAreNotThePublishedOnes) {
  poke(folder / "data_batch_5.bin", 3073 * 9999, 7);
  poke(folder / "test_batch.bin", 3073 * 9999 + 3072, 200);
  const Dataset set = load("cifar10", {{"root", root.path().string()}});
  EXPECT_EQ(set.train.count(), 50000);
  EXPECT_EQ(set.test.count(), 10000);
  EXPECT_EQ(set.train.labels[49999], 7);
  EXPECT_EQ(set.test.pixels.back(), 200);
  EXPECT_EQ(set.class_names.size(), 10U);
  EXPECT_THAT(set.mean, ElementsAre(0.4914F, 0.4822F, 0.4465F));
  EXPECT_THAT(set.remark, HasSubstr("the pixels differ from the published files"));
}

TEST_F(WholeCifar10, ThePublishedPixelsAreRecognized) {
  QHOST_NEED_DATA(head, "cifar10/data_batch_1.head.bin");
  std::fstream file(folder / "data_batch_1.bin", std::ios::binary | std::ios::in | std::ios::out);
  file << read_text(head);
  file.close();
  EXPECT_EQ(load("cifar10", {{"root", root.path().string()}}).remark, "");
}

TEST_F(WholeCifar10, AHeadIsNotACompleteSet) {
  QHOST_NEED_DATA(head, "cifar10/data_batch_1.head.bin");
  fs::remove(folder / "data_batch_1.bin");
  fs::copy_file(head, folder / "data_batch_1.bin");
  expect_error(
      ErrorKind::data,
      {"truncated at byte 2864036, in record 932", "30730000 bytes expected (10000 records"}, [&] {
        load("cifar10", {{"root", root.path().string()}});
      });
}

TEST_F(WholeCifar10, CourseImagesAreTheFirstOfTheCoursesShuffle) {
  const Dataset set =
      load("cifar10", {{"root", folder.string()}, {"course_images", std::int64_t{15000}}});
  ASSERT_EQ(set.train.count(), 15000);
  const nlohmann::json golden =
      nlohmann::json::parse(read_text(QHOST_SOURCE_DIR "/tests/data/golden/numpy_choice.json"));
  const auto head = golden.at("shuffles").at(0).at("head").get<std::vector<std::uint32_t>>();
  EXPECT_TRUE(std::equal(head.begin(), head.end(), set.train.source_index.begin()));
}

// A record is a coarse label, a fine label, the pixels.
TEST(WholeCifar100, TheOptionChoosesBetweenItsTwoLabels) {
  const Folder root;
  const fs::path folder = root / "cifar-100-binary";
  make_sparse_cifar100(folder);
  for (const std::int64_t record : {1, 145, 49999}) {
    poke(folder / "train.bin", 3074 * record, static_cast<int>(record % 20));
    poke(folder / "train.bin", 3074 * record + 1, static_cast<int>(record % 100));
  }
  poke(folder / "test.bin", 3074 * 3, 11);
  poke(folder / "test.bin", 3074 * 3 + 1, 83);
  const Dataset fine = load("cifar100", {{"root", root.path().string()}});
  EXPECT_EQ(fine.classes, 100);
  EXPECT_EQ(fine.train.labels[1], 1);
  EXPECT_EQ(fine.train.labels[145], 45);
  EXPECT_EQ(fine.train.labels[49999], 99);
  EXPECT_EQ(fine.test.labels[3], 83);
  EXPECT_EQ(fine.class_names, cifar100_fine_names());
  const Dataset coarse =
      load("cifar100", {{"root", root.path().string()}, {"labels", std::string("coarse")}});
  EXPECT_EQ(coarse.classes, 20);
  EXPECT_EQ(coarse.train.labels[1], 1);
  EXPECT_EQ(coarse.train.labels[145], 5);
  EXPECT_EQ(coarse.train.labels[49999], 19);
  EXPECT_EQ(coarse.test.labels[3], 11);
  EXPECT_EQ(coarse.class_names, cifar100_coarse_names());
}

}  // namespace
}  // namespace qhost::data::testing
