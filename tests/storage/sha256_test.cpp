#include "storage/sha256.h"

#include "storage/support.h"
#include "storage/utc_time.h"

namespace qhost::storage {
namespace {

// The examples of FIPS 180-4.
TEST(Sha256, KnowsTheStandardsExamples) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const TestFolder folder;
  const std::string text(1000000, 'a');
  spill(folder / "million", text);
  EXPECT_EQ(sha256_file(folder / "million"),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  Sha256 pieces;
  for (int i = 0; i < 1000; ++i) pieces.update(std::as_bytes(std::span(text).first(1000)));
  EXPECT_EQ(pieces.hex(), sha256(text));
}

TEST(Sha256, SaysWhichFileCannotBeRead) {
  EXPECT_EQ(error_of(ErrorKind::storage, [] { sha256_file("/nowhere/file"); }),
            "cannot open /nowhere/file: No such file or directory\nhelp: check the path; a folder "
            "on the way may be missing");
}

TEST(UtcTime, HasTwoForms) {
  const std::chrono::system_clock::time_point time{std::chrono::seconds(1795445527)};
  EXPECT_EQ(utc_time(time), "2026-11-23T14:52:07Z");
  EXPECT_EQ(utc_stamp(time + std::chrono::milliseconds(999)), "20261123T145207Z");
}

}  // namespace
}  // namespace qhost::storage
