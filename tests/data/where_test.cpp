#include "data/where.h"

#include "support.h"

namespace qhost::data::testing {
namespace {

SetStatus status(const std::string& name, const std::string& root) {
  for (const SetStatus& s : where(root)) {
    if (s.name == name) return s;
  }
  ADD_FAILURE() << "no line for " << name;
  return {};
}

TEST(Where, EmbeddedAndMissing) {
  const SetStatus digits = status("digits", "/nonexistent");
  EXPECT_EQ(digits.state, SetState::embedded);
  EXPECT_TRUE(digits.searched.empty());
  EXPECT_EQ(digits.how_to_get, "");
  const SetStatus cifar = status("cifar10", "/nonexistent");
  EXPECT_EQ(cifar.state, SetState::missing);
  EXPECT_EQ(cifar.folder, "");
  EXPECT_THAT(cifar.searched,
              ::testing::ElementsAre("/nonexistent/cifar-10-batches-bin", "/nonexistent"));
  EXPECT_THAT(cifar.how_to_get, HasSubstr("MD5 c32a1d4ab5d03f1284b67883e8d87530"));
}

TEST(Where, PresentThenDamaged) {
  const Folder root;
  const fs::path folder = root / "cifar-10-batches-bin";
  make_sparse_cifar10(folder);
  const SetStatus present = status("minicifar", root.path().string());
  EXPECT_EQ(present.state, SetState::present) << present.problem;
  EXPECT_EQ(present.folder, folder);
  EXPECT_EQ(present.bytes, 184380000);
  EXPECT_EQ(present.how_to_get, "");
  EXPECT_EQ(status("cifar100", root.path().string()).state, SetState::missing);

  fs::remove(folder / "data_batch_2.bin");
  fs::resize_file(folder / "test_batch.bin", 1000);
  const SetStatus damaged = status("cifar10", root.path().string());
  EXPECT_EQ(damaged.state, SetState::damaged);
  EXPECT_EQ(damaged.problem,
            "data_batch_2.bin is missing; test_batch.bin has 1000 bytes, not 30730000");
  EXPECT_EQ(damaged.bytes, 4 * 30730000 + 1000);
  EXPECT_THAT(damaged.how_to_get, HasSubstr("cifar-10-binary.tar.gz"));
}

TEST(Where, SearchesTheRootAlone) {
  const SetStatus missing = status("cifar10", "/nonexistent");
  EXPECT_EQ(missing.state, SetState::missing);
  EXPECT_EQ(missing.folder, "");
  EXPECT_EQ(missing.bytes, 0);
  EXPECT_EQ(missing.searched.size(), 2U);
}

TEST(Where, NamesStates) {
  EXPECT_STREQ(to_string(SetState::embedded), "embedded");
  EXPECT_STREQ(to_string(SetState::present), "present");
  EXPECT_STREQ(to_string(SetState::damaged), "damaged");
}

}  // namespace
}  // namespace qhost::data::testing
