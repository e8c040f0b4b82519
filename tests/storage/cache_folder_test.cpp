#include "storage/cache_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <optional>
#include <string>

namespace qhost::storage {
namespace {

/// Sets or unsets an environment variable for its lifetime.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = ::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const char* value) const {
    if (value == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, value, 1);
    }
  }
  const char* name_;
  std::optional<std::string> before_;
};

TEST(CacheFolder, FollowsTheXdgSpecification) {
  const Variable home("HOME", "/home/user");
  {
    const Variable given("XDG_CACHE_HOME", "/scratch");
    EXPECT_EQ(cache_folder(), "/scratch/qhost");
  }
  for (const char* ignored : {static_cast<const char*>(nullptr), "", "relative"}) {
    const Variable given("XDG_CACHE_HOME", ignored);
    EXPECT_EQ(cache_folder(), "/home/user/.cache/qhost");
    const Variable nobody("HOME", nullptr);
    EXPECT_EQ(cache_folder(), "") << "there is no place to keep anything";
  }
}

}  // namespace
}  // namespace qhost::storage
