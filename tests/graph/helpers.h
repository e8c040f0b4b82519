/// graph/helpers.h: shapes as text, and errors as text.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "qhost/error.h"
#include "qhost/graph.h"

namespace qhost::test {

/// shape("64x16x16"), shape("10")
inline Shape shape(const std::string& text) {
  Shape result;
  std::istringstream in(text);
  for (std::string dim; std::getline(in, dim, 'x');) result.dims.push_back(std::stoll(dim));
  return result;
}

/// The message of the qhost::Error of kind configuration that the call throws; "" with a test
/// failure otherwise.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return error.what();
  } catch (const std::exception& other) {
    ADD_FAILURE() << "not a qhost::Error: " << other.what();
    return "";
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// Matches the text of a graph error with this path, sentence and help, in the common form:
/// "FILE:LINE:COLUMN: error: PATH: SENTENCE\n ... help: HELP".
inline auto is_graph_error(const std::string& path_and_sentence, const std::string& help) {
  using namespace ::testing;
  return AllOf(HasSubstr("_test.cpp:"), HasSubstr(": error: " + path_and_sentence + "\n"),
               EndsWith("\nhelp: " + help));
}

/// A builder with an image input.
struct Network {
  explicit Network(const std::string& input = "16x8x8") : x(g.input(shape(input))) {}
  GraphBuilder g;
  Value x;
};

}  // namespace qhost::test
