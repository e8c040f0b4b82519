// The examples of the SDK's comments and of docs/plugins.md, built as plugins: they keep every
// promise of their contracts. examples_test.py compares them with the comments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/conformance.h"
#include "registry/registry.h"

namespace qhost {
namespace {

using conformance::Finding;

Registry& registry() {
  static Registry one(
      {.plugin_paths = {QHOST_BINARY_DIR "/tests/plugins"}, .default_paths = false});
  return one;
}

void expect_all_hold(const std::vector<Finding>& findings) {
  EXPECT_GT(findings.size(), 5U);
  for (const Finding& finding : findings) {
    EXPECT_TRUE(finding.holds()) << finding.check << ", " << finding.configuration << ": "
                                 << finding.failure;
  }
}

TEST(SdkExamples, TheQuantizersConform) {
  for (const char* name : {"my_bwn", "my_sign"}) {
    SCOPED_TRACE(name);
    expect_all_hold(conformance::check_quantizer(registry().quantizer(name)));
    expect_all_hold(conformance::check_quantizer_in_network(registry().quantizer(name)));
  }
}

TEST(SdkExamples, TheArchitectureConforms) {
  expect_all_hold(conformance::check_architecture(registry().architecture("tiny")));
}

}  // namespace
}  // namespace qhost
