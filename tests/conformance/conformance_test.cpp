// Runs the conformance suite on every plugin of this project, one test per component.
#include "conformance/conformance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/registry.h"

namespace qhost::conformance {
namespace {

Registry& registry() {
  static Registry* const one = [] {
    SearchOptions options;
    options.default_paths = false;
    options.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins"};
    return new Registry(options);
  }();
  return *one;
}

std::string failures(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    if (finding.holds()) continue;
    text += "\n" + finding.check + " (" + finding.configuration + "): " + finding.failure;
  }
  return text;
}

class QuantizerConforms : public testing::TestWithParam<std::string> {};

TEST_P(QuantizerConforms, InEachSlot) {
  const std::vector<Finding> findings = check_quantizer(registry().quantizer(GetParam()));
  EXPECT_GT(findings.size(), 10U);
  EXPECT_EQ(failures(findings), "");
}

TEST_P(QuantizerConforms, InANetwork) {
  const auto findings = check_quantizer_in_network(registry().quantizer(GetParam()));
  EXPECT_GE(findings.size(), 10U);
  EXPECT_EQ(failures(findings), "");
}

class ArchitectureConforms : public testing::TestWithParam<std::string> {};

TEST_P(ArchitectureConforms, WithEachChoice) {
  const auto findings = check_architecture(registry().architecture(GetParam()));
  EXPECT_GT(findings.size(), 6U);
  EXPECT_EQ(failures(findings), "");
}

const auto name = [](const testing::TestParamInfo<std::string>& one) { return one.param; };
INSTANTIATE_TEST_SUITE_P(Plugins, QuantizerConforms,
                         testing::ValuesIn(registry().names("quantizer")), name);
INSTANTIATE_TEST_SUITE_P(Plugins, ArchitectureConforms,
                         testing::ValuesIn(registry().names("architecture")), name);

}  // namespace
}  // namespace qhost::conformance
