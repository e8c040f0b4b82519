#include "data/idx.h"

#include "gzip_bytes.h"
#include "storage/sha256.h"
#include "support.h"

namespace qhost::data::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Not;

const IdxLayout small = {"small", 3, 2, 4, 5, 2};

std::string word(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

/// Images whose value v is (31 v + 7) mod 256, labels i mod 4.
std::string images(std::uint32_t count) {
  std::string out = word(0x803) + word(count) + word(3) + word(2);
  for (std::uint32_t v = 0; v < count * 6; ++v) out += static_cast<char>((31 * v + 7) % 256);
  return out;
}
std::string labels(std::uint32_t count) {
  std::string out = word(0x801) + word(count);
  for (std::uint32_t i = 0; i < count; ++i) out += static_cast<char>(i % 4);
  return out;
}

struct Idx : ::testing::Test {
  Folder folder;
  const std::string train_images = "train-images-idx3-ubyte";
  const std::string train_labels = "train-labels-idx1-ubyte";

  void SetUp() override {
    write_file(folder / train_images, images(5));
    write_file(folder / train_labels, labels(5));
    write_file(folder / "t10k-images-idx3-ubyte", images(2));
    write_file(folder / "t10k-labels-idx1-ubyte", labels(2));
  }
  void pack(const std::string& name, const std::string& bytes) {
    fs::remove(folder / name);
    write_file(folder / (name + ".gz"), bytes);
  }
  void expect_refused(const std::vector<std::string>& parts) {
    expect_error(ErrorKind::data, parts, [&] { read_idx_set(small, folder.path()); });
  }
  /// Replaces the training images by these bytes, plain and compressed.
  void expect_images_refused(const std::string& bytes, const std::string& what,
                             const std::string& packed_what) {
    write_file(folder / train_images, bytes);
    expect_refused({"small: " + (folder / train_images).string() + ": " + what,
                    "help: the file is not the published one", "`qhost data list`"});
    pack(train_images, gzip_bytes(bytes));
    expect_refused({"small: " + (folder / (train_images + ".gz")).string() + ": " + packed_what});
    fs::remove(folder / (train_images + ".gz"));
  }
};

TEST_F(Idx, ReadsImagesAndLabels) {
  const IdxSet read = read_idx_set(small, folder.path());
  const Dataset& set = read.set;
  EXPECT_EQ(set.name, "small");
  EXPECT_EQ(set.image, (Shape{{1, 3, 2}}));
  EXPECT_EQ(set.classes, 4);
  ASSERT_EQ(set.train.count(), 5);
  ASSERT_EQ(set.test.count(), 2);
  EXPECT_TRUE(set.validation.empty());
  EXPECT_THAT(set.train.labels, ElementsAre(0, 1, 2, 3, 0));
  EXPECT_THAT(set.train.source_index, ElementsAre(0, 1, 2, 3, 4));
  ASSERT_EQ(set.train.pixels.size(), 30U);
  for (std::size_t v = 0; v < 30; ++v) ASSERT_EQ(set.train.pixels[v], (31 * v + 7) % 256);
  EXPECT_EQ(read.sha256[3], storage::sha256(labels(2)));
  EXPECT_THAT(set.provenance, HasSubstr("train-labels-idx1-ubyte, 13 bytes, sha256 " +
                                        storage::sha256(labels(5)) + "\nt10k-images"));
  EXPECT_THAT(set.provenance, Not(HasSubstr("unpacked")));
}

TEST_F(Idx, GzipReadersGiveTheSame) {
  const IdxSet plain = read_idx_set(small, folder.path());
  const std::string whole = images(5);
  pack(train_images, gzip_bytes(whole));
  pack(train_labels, gzip_bytes(labels(5)));
  const IdxSet packed = read_idx_set(small, folder.path());
  EXPECT_EQ(packed.set.train.pixels, plain.set.train.pixels);
  EXPECT_EQ(packed.set.train.labels, plain.set.train.labels);
  EXPECT_EQ(packed.sha256, plain.sha256);
  EXPECT_THAT(packed.set.provenance,
              HasSubstr("train-images-idx3-ubyte.gz, " + std::to_string(gzip_bytes(whole).size()) +
                        " bytes, sha256 " + storage::sha256(gzip_bytes(whole)) +
                        ", unpacked sha256 " + storage::sha256(whole)));
}

// RFC 1952: the members of a file are concatenated. Empty members are allowed.
TEST_F(Idx, ConcatenatedMembersAreOneFile) {
  const std::string whole = images(5);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{3}, std::size_t{16}, whole.size()}) {
    pack(train_images, gzip_bytes("") + gzip_bytes(whole.substr(0, cut)) +
                           gzip_bytes(whole.substr(cut)) + gzip_bytes(""));
    const IdxSet read = read_idx_set(small, folder.path());
    EXPECT_EQ(read.sha256[0], storage::sha256(whole)) << "cut at " << cut;
  }
  // An additional member means additional values, and must not be ignored.
  pack(train_images, gzip_bytes(whole) + gzip_bytes("x"));
  expect_refused({"goes on at unpacked byte 46; 46 bytes expected"});
}

TEST_F(Idx, TheContentDecidesWhatIsPacked) {
  write_file(folder / (train_labels + ".gz"), labels(5));  // a browser has decompressed it
  fs::remove(folder / train_labels);
  EXPECT_EQ(read_idx_set(small, folder.path()).set.train.labels[3], 3);
}

TEST_F(Idx, TheUnpackedFileIsTakenWhereBothAre) {
  write_file(folder / (train_images + ".gz"), "no gzip");
  EXPECT_EQ(read_idx_set(small, folder.path()).set.train.count(), 5);
}

TEST_F(Idx, Magic) {
  const std::string rest = images(5).substr(4);
  expect_images_refused(labels(5),
                        "begins with 0x00000801 (unsigned bytes, 1 dimension); 0x00000803 "
                        "(unsigned bytes, 3 dimensions) expected\n",
                        "begins with 0x00000801 ");
  expect_images_refused(word(0xd03) + rest, "begins with 0x00000d03 (floats, 3 dimensions); ",
                        "begins with 0x00000d03 ");
  expect_images_refused("<htm" + rest, "begins with 0x3c68746d; 0x00000803 (unsigned bytes",
                        "begins with 0x3c68746d; ");
}

TEST_F(Idx, Dimensions) {
  const auto with = [](std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    return word(0x803) + word(a) + word(b) + word(c) + images(5).substr(16);
  };
  expect_images_refused(with(6, 3, 2), "dimension 0 at byte 4 is 6; 5 expected (5 x 3 x 2)\n",
                        "dimension 0 at unpacked byte 4 is 6; ");
  expect_images_refused(with(5, 2, 3), "dimension 1 at byte 8 is 2; 3 expected (5 x 3 x 2)\n",
                        "dimension 1 at unpacked byte 8 is 2; ");
  // The declared sizes are compared, never allocated.
  expect_images_refused(with(5, 3, 0xffffffff), "dimension 2 at byte 12 is 4294967295; 2 expected",
                        "dimension 2 at unpacked byte 12 is 4294967295; ");
}

TEST_F(Idx, TruncatedAnywhere) {
  const std::string whole = images(5);
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, std::size_t{4}, std::size_t{15}}) {
    const std::string what = "byte " + std::to_string(size) + ", in its header of 16 bytes";
    expect_images_refused(whole.substr(0, size), "truncated at " + what,
                          "truncated at unpacked " + what);
  }
  expect_images_refused(whole.substr(0, 16 + 6 * 3 + 5),
                        "truncated at byte 39, in image 3; 46 bytes expected (a header of 16, "
                        "values of 5 x 3 x 2)\n",
                        "truncated at unpacked byte 39, in image 3; 46 bytes expected");
}

TEST_F(Idx, TooLong) {
  expect_images_refused(images(5) + "x", "goes on at byte 46; 46 bytes expected (a header of 16, ",
                        "goes on at unpacked byte 46; 46 bytes expected");
}

TEST_F(Idx, LabelOutOfRange) {
  poke(folder / train_labels, 8 + 3, 4);
  expect_refused({(folder / train_labels).string() +
                  ": label 4 at byte 11 (image 3) is outside 0..3\nhelp: "});
  pack(train_labels, gzip_bytes(labels(4) + "\377"));
  expect_refused({"dimension 0 at unpacked byte 4 is 4; 5 expected"});
  pack(train_labels, gzip_bytes(labels(5).substr(0, 12) + "\377"));
  expect_refused({"label 255 at unpacked byte 12 (image 4) is outside 0..3"});
}

TEST_F(Idx, MissingAndSpecialFiles) {
  fs::remove(folder / train_labels);
  expect_refused({"small: train-labels-idx1-ubyte is missing, also as .gz in " +
                  folder.path().string() + "\nhelp: get it again"});
  fs::create_directory(folder / train_labels);
  expect_refused({"train-labels-idx1-ubyte is not a regular file in"});
}

// Truncated at every byte: an incomplete download is never accepted.
TEST_F(Idx, GzipTruncatedAtEveryByte) {
  const std::string packed = gzip_bytes(images(5));
  for (std::size_t size = 2; size < packed.size(); ++size) {
    pack(train_images, packed.substr(0, size));
    SCOPED_TRACE(size);
    expect_refused({"truncated at byte " + std::to_string(size) + ": the gzip data stop after "});
  }
}

// Each byte changed in turn. The time, compressor flags and system in the header have no meaning;
// every other change is detected, by the format or by the checksum.
TEST_F(Idx, GzipDamagedAtAnyByte) {
  const std::string packed = gzip_bytes(images(5)), unpacked = images(5);
  for (std::size_t at = 0; at < packed.size(); ++at) {
    std::string bytes = packed;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x41);
    pack(train_images, bytes);
    SCOPED_TRACE(at);
    if (at >= 4 && at < 10) {
      EXPECT_EQ(read_idx_set(small, folder.path()).sha256[0], storage::sha256(unpacked));
    } else {
      EXPECT_THROW(read_idx_set(small, folder.path()), Error);
    }
  }
  std::string bytes = packed;
  bytes[bytes.size() - 6] ^= 1;  // in the checksum
  pack(train_images, bytes);
  expect_refused({"damaged gzip data near byte " + std::to_string(packed.size() - 4),
                  "after 46 unpacked bytes (incorrect data check)"});
}

TEST_F(Idx, NothingMayFollowTheGzipData) {
  const std::string packed = gzip_bytes(images(5));
  pack(train_images, packed + "garbage");
  expect_refused({"something follows the gzip data at byte " + std::to_string(packed.size()) +
                  ", which is no further gzip member"});
  pack(train_images, packed + std::string(512, '\0'));
  expect_refused({"something follows the gzip data at byte "});
}

// 16 MB of zeros in 16 kB: decompression ends at the first byte too many.
TEST_F(Idx, ABombIsRefusedAtItsFirstSurplusByte) {
  const std::string bomb = gzip_bytes(images(5) + std::string(std::size_t{1} << 24, '\0'));
  pack(train_images, bomb);
  expect_refused({"goes on at unpacked byte 46; 46 bytes expected"});
  pack(train_images, gzip_bytes(std::string(std::size_t{1} << 24, '\0')));
  expect_refused({"begins with 0x00000000; "});
}

// A file of a wrong size is not read: a terabyte of empty members would take hours.
TEST_F(Idx, AnEnormousFileIsRefusedByItsSize) {
  pack(train_images, gzip_bytes(images(5)));
  fs::resize_file(folder / (train_images + ".gz"), std::uintmax_t{1} << 40);
  expect_refused({"has 1099511627776 bytes; at most 65582 expected"});
}

}  // namespace
}  // namespace qhost::data::testing
