#include "storage/environment.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/version.h"
#include "storage/process.h"
#include "storage/support.h"

namespace qhost::storage {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::seconds;
using ::testing::MatchesRegex;

bool run(const fs::path& folder, const std::string& arguments) {
  const std::string command = "cd '" + folder.string() +
                              "' && git -c user.name=n -c user.email=e@example.org " + arguments +
                              " > /dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

bool git_is_missing() {
  return !output_of({"git", "--version"}, seconds(5));
}

TEST(Environment, HoldsTheFacts) {
  const TestFolder folder;
  const json facts =
      environment_facts({.torch_version = "2.15.0",
                         .command_line = {"qhost", "run", "a b.toml"},
                         .experiment_folder = folder.path(),
                         .started = std::chrono::system_clock::time_point{seconds(1795445527)}});
  EXPECT_EQ(facts.at("qhost"), version());
  EXPECT_EQ(facts.at("libtorch"), "2.15.0");
  EXPECT_EQ(facts.at("started"), "2026-11-23T14:52:07Z");
  EXPECT_EQ(facts.at("command_line"), json({"qhost", "run", "a b.toml"}));
  EXPECT_EQ(facts.at("working_directory"), fs::current_path().string());
  EXPECT_EQ(facts.at("host"), host_name());
  EXPECT_THAT(facts.at("kernel").get<std::string>(), MatchesRegex("Linux [^ ]+ [^ ]+"));
  EXPECT_THAT(facts.at("libc").get<std::string>(), MatchesRegex("glibc 2\\.[0-9]+"));
  EXPECT_FALSE(facts.at("compiler").get<std::string>().empty());
  EXPECT_TRUE(facts.at("os").is_string());
  EXPECT_GT(facts.at("memory_bytes").get<std::uint64_t>(), 1u << 24);
  const json& cpu = facts.at("cpu");
  EXPECT_GE(cpu.at("cores").get<int>(), cpu.at("usable_cores").get<int>());
  EXPECT_GE(cpu.at("usable_cores").get<int>(), 1);
  EXPECT_TRUE(cpu.at("quota").is_null() || cpu.at("quota").get<double>() > 0);
#ifdef __x86_64__
  EXPECT_TRUE(cpu.at("model").is_string());
  EXPECT_EQ(cpu.at("flags").dump().find("avx2") != std::string::npos,
            __builtin_cpu_supports("avx2") != 0);
#endif
  EXPECT_TRUE(facts.at("git").is_null());
  EXPECT_TRUE(environment_facts({}).at("libtorch").is_null());
}

TEST(Environment, KnowsTheStateOfARepository) {
  if (git_is_missing()) GTEST_SKIP() << "git is not installed";
  const TestFolder folder;
  const fs::path inner = folder / "experiments";
  fs::create_directory(inner);
  EXPECT_TRUE(git_state(inner).is_null());
  ASSERT_TRUE(run(folder.path(), "init -b trunk"));
  EXPECT_TRUE(git_state(inner).is_null()) << "before the first commit";
  spill(inner / "a.toml", "x = 1\n");
  ASSERT_TRUE(run(folder.path(), "add . "));
  ASSERT_TRUE(run(folder.path(), "commit -m first"));
  const json clean = git_state(inner);
  EXPECT_THAT(clean.at("commit").get<std::string>(), MatchesRegex("[0-9a-f]{40}"));
  EXPECT_EQ(clean.at("branch"), "trunk");
  EXPECT_EQ(clean.at("root"), fs::canonical(folder.path()).string());
  EXPECT_EQ(clean.at("dirty"), false);
  spill(inner / "untracked", "");
  EXPECT_EQ(git_state(inner), clean);
  spill(inner / "a.toml", "x = 2\n");
  EXPECT_EQ(git_state(inner).at("dirty"), true);
  ASSERT_TRUE(run(folder.path(), "checkout -q --detach"));
  EXPECT_TRUE(git_state(inner).at("branch").is_null());
  EXPECT_EQ(git_state(inner).at("commit"), clean.at("commit"));
}

TEST(Environment, WithoutGitThereIsNone) {
  const TestFolder folder;
  const int status = status_of_child([&] {
    ::setenv("PATH", folder.path().c_str(), 1);
    EXPECT_TRUE(git_state(".").is_null());
  });
  EXPECT_EQ(status, 0);
}

TEST(OutputOf, TakesOutputStatusAndTime) {
  EXPECT_EQ(output_of({"printf", "%s|", "a b", "$HOME"}, seconds(5)), "a b|$HOME|");
  EXPECT_EQ(output_of({"sh", "-c", "cat; echo err >&2; echo out"}, seconds(5)), "out\n");
  EXPECT_EQ(output_of({"false"}, seconds(5)), std::nullopt);
  EXPECT_EQ(output_of({"no-such-command-anywhere"}, seconds(5)), std::nullopt);
  EXPECT_EQ(output_of({"sleep", "600"}, std::chrono::milliseconds(50)), std::nullopt);
  EXPECT_EQ(output_of({"sh", "-c", "kill -9 $$"}, seconds(5)), std::nullopt);
  EXPECT_EQ(output_of({"head", "-c", "17000000", "/dev/zero"}, seconds(20)), std::nullopt);
}

}  // namespace
}  // namespace qhost::storage
