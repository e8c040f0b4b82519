#include "storage/bad_containers.h"

#include <cstdint>

namespace qhost::storage {
namespace {

std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes += static_cast<char>(static_cast<unsigned char>(length >> (8 * i)));
  }
  return bytes;
}

/// A file with one entry "a" of these three values.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets,
                std::size_t data) {
  return container(
      R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
      std::string(data, 'x'));
}

std::string f32(const std::string& name, std::size_t begin, std::size_t end) {
  return "\"" + name + R"(":{"dtype":"F32","shape":[)" + std::to_string((end - begin) / 4) +
         R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

}  // namespace

std::string container(const std::string& json, const std::string& data) {
  return length_bytes(json.size()) + json + data;
}

std::vector<BadContainer> bad_containers() {
  const std::string known = "BOOL U8 I8 U16 I16 F16 BF16 U32 I32 F32 U64 I64 F64";
  std::vector<BadContainer> all = {
      // 1. the length
      {"empty_file", "", "the file is too short for the length of its header",
       "at byte 0: found 0 bytes; allowed: 8 bytes or more"},
      {"seven_bytes", "1234567", "the file is too short for the length of its header",
       "at byte 0: found 7 bytes; allowed: 8 bytes or more"},
      {"header_of_4_GiB", length_bytes(std::uint64_t{1} << 32) + "{}", "the header is too long",
       "at byte 0: found 4294967296 bytes (4.0 GiB); allowed: at most 16777216 bytes (16.0 MiB)"},
      {"length_that_overflows", length_bytes(~std::uint64_t{0}) + "{}", "the header is too long",
       "at byte 0: found 18446744073709551615 bytes (16.0 EiB); allowed: at most 16777216 bytes "
       "(16.0 MiB)"},
      {"header_longer_than_file", length_bytes(3) + "{}", "the header is longer than the file",
       "at byte 0: found 3 bytes; allowed: at most 2 bytes, the rest of the file"},
      // 2. one JSON object in UTF-8, followed by spaces
      {"empty_header", container(""), "the header does not begin with {",
       "at byte 8: found an empty header; allowed: {"},
      {"leading_space", container(" {}"), "the header does not begin with {",
       "at byte 8: found \" \"; allowed: {"},
      {"byte_order_mark", container("\xEF\xBB\xBF{}"), "the header does not begin with {",
       "at byte 8: found \"\\ufffd\"; allowed: {"},
      {"array", container("[]"), "the header does not begin with {",
       "at byte 8: found \"[\"; allowed: {"},
      {"cut_json", container("{\"a\":"), "the header is not valid JSON in UTF-8", "at byte 13: "},
      {"invalid_utf8", container("{\"\xff\":1}"), "the header is not valid JSON in UTF-8",
       "at byte 10: "},
      {"comment", container("{/**/}"), "the header is not valid JSON in UTF-8", "at byte 9: "},
      {"huge_number", container("{\"a\":1e999}"), "the header is not valid JSON in UTF-8",
       "at byte 17: "},
      {"second_object", container("{}{}"), "the header is not valid JSON in UTF-8", "at byte 10: "},
      {"newline_after", container("{} \n"), "something follows the header's object",
       "at byte 11: found \"\\n\"; allowed: spaces"},
      {"hidden_after_nul", container(std::string("{}\0{\"b\":1}", 10)),
       "the header holds a NUL byte", "at byte 10: found 0x00; allowed: UTF-8 text"},
      // 3. duplicates
      {"duplicate_tensor", container("{" + f32("a", 0, 4) + "," + f32("a", 0, 4) + "}", "xxxx"),
       "the name \"a\" stands there twice", "at byte 64: found a second entry; allowed: one"},
      {"duplicate_by_escape",
       container("{" + f32("a", 0, 4) + "," + f32("\\u0061", 0, 4) + "}", "xxxx"),
       "the name \"a\" stands there twice", "at byte 69: found a second entry; allowed: one"},
      {"duplicate_metadata", container(R"({"__metadata__":{},"__metadata__":{}})"),
       "the name \"__metadata__\" stands there twice",
       "at byte 40: found a second entry; allowed: one"},
      {"duplicate_metadata_key", container(R"({"__metadata__":{"k":"1","k":"2"}})"),
       "the key \"k\" stands twice in __metadata__",
       "at byte 35: found a second one; allowed: one"},
      {"duplicate_dtype",
       container(R"({"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}})", "x"),
       "tensor \"a\" has its dtype twice", "at byte 33: found a second one; allowed: one"},
      // 4. the form of entries
      {"metadata_number", container(R"({"__metadata__":{"k":1}})"),
       "__metadata__ key \"k\" has the wrong type", "at byte 30: found 1; allowed: a string"},
      {"metadata_object", container(R"({"__metadata__":{"k":{}}})"),
       "__metadata__ key \"k\" has the wrong type",
       "at byte 29: found an object; allowed: a string"},
      {"metadata_list", container(R"({"__metadata__":[]})"), "__metadata__ has the wrong type",
       "at byte 24: found an array; allowed: an object"},
      {"entry_null", container(R"({"a":null})"), "tensor \"a\" has the wrong type",
       "at byte 16: found null; allowed: an object"},
      {"entry_true", container(R"({"a":true})"), "tensor \"a\" has the wrong type",
       "at byte 16: found true; allowed: an object"},
      {"no_dtype", container(R"({"a":{"shape":[],"data_offsets":[0,0]}})"),
       "tensor \"a\" has no dtype",
       "at byte 45: found 2 of 3 fields; allowed: dtype, shape and data_offsets"},
      {"no_shape", container(R"({"a":{"dtype":"U8","data_offsets":[0,0]}})"),
       "tensor \"a\" has no shape",
       "at byte 47: found 2 of 3 fields; allowed: dtype, shape and data_offsets"},
      {"no_offsets", container(R"({"a":{"dtype":"U8","shape":[0]}})"),
       "tensor \"a\" has no data_offsets",
       "at byte 38: found 2 of 3 fields; allowed: dtype, shape and data_offsets"},
      {"unknown_field", container(R"({"a":{"stride":[1]}})"), "tensor \"a\" has an unknown field",
       "at byte 21: found \"stride\"; allowed: dtype, shape, data_offsets"},
      {"terminal_escape_in_name", container("{\"\\u001b[31m\":1}"),
       "tensor \"\\u001b[31m\" has the wrong type", "at byte 23: found 1; allowed: an object"},
      {"dtype_number", one("1", "[1]", "[0,4]", 4), "the dtype of tensor \"a\" has the wrong type",
       "at byte 23: found 1; allowed: a string"},
      {"shape_string", one("\"F32\"", "\"1\"", "[0,4]", 4),
       "the shape of tensor \"a\" has the wrong type",
       "at byte 38: found the string \"1\"; allowed: an array"},
      {"negative_size", one("\"F32\"", "[-1]", "[0,4]", 4),
       "the shape of tensor \"a\" has the wrong type",
       "at byte 39: found -1; allowed: a non-negative integer"},
      {"float_size", one("\"F32\"", "[1e0]", "[0,4]", 4),
       "the shape of tensor \"a\" has the wrong type",
       "at byte 40: found \"1e0\"; allowed: a non-negative integer"},
      {"size_of_2_to_the_64", one("\"F32\"", "[18446744073709551616]", "[0,4]", 4),
       "the shape of tensor \"a\" has the wrong type",
       "at byte 57: found \"18446744073709551616\"; allowed: a non-negative integer"},
      {"size_of_2_to_the_63", one("\"F32\"", "[9223372036854775808]", "[0,4]", 4),
       "the shape of tensor \"a\" holds a number that is too large",
       "at byte 56: found 9223372036854775808; allowed: at most 9223372036854775807"},
      {"nested_shape", one("\"F32\"", "[[1]]", "[0,4]", 4),
       "the shape of tensor \"a\" has the wrong type",
       "at byte 37: found an array; allowed: a non-negative integer"},
      {"rank_9", one("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]", 4),
       "the shape of tensor \"a\" has too many numbers",
       "at byte 54: found 9 or more; allowed: at most 8"},
      {"one_offset", one("\"F32\"", "[1]", "[4]", 4),
       "the data_offsets of tensor \"a\" has too few numbers",
       "at byte 57: found 1; allowed: exactly 2"},
      {"three_offsets", one("\"F32\"", "[1]", "[0,4,4]", 4),
       "the data_offsets of tensor \"a\" has too many numbers",
       "at byte 61: found 3 or more; allowed: exactly 2"},
      // 5. dtypes
      {"unknown_dtype", one("\"F31\"", "[1]", "[0,4]", 4), "tensor \"a\" has an unknown dtype",
       "at byte 13: found \"F31\"; allowed: " + known},
      {"lower_case_dtype", one("\"f32\"", "[1]", "[0,4]", 4), "tensor \"a\" has an unknown dtype",
       "at byte 13: found \"f32\"; allowed: " + known},
      // 6. the product of the shape
      {"product_overflows", one("\"F32\"", "[4294967296,4294967296]", "[0,4]", 4),
       "tensor \"a\" has more bytes than a 64-bit number can count",
       "at byte 13: found shape [4294967296,4294967296]; allowed: a product below 2^64"},
      {"product_wraps_to_zero", one("\"U8\"", "[4294967296,4294967296]", "[0,0]", 0),
       "tensor \"a\" has more bytes than a 64-bit number can count",
       "at byte 13: found shape [4294967296,4294967296]; allowed: a product below 2^64"},
      {"zero_hides_overflow", one("\"U8\"", "[0,4294967296,4294967296]", "[0,0]", 0),
       "tensor \"a\" has more bytes than a 64-bit number can count",
       "at byte 13: found shape [0,4294967296,4294967296]; allowed: a product below 2^64"},
      {"bytes_overflow", one("\"F64\"", "[4611686018427387904]", "[0,0]", 0),
       "tensor \"a\" has more bytes than a 64-bit number can count",
       "at byte 13: found shape [4611686018427387904]; allowed: a product below 2^64"},
      // 7. ranges
      {"end_before_begin", one("\"F32\"", "[1]", "[4,0]", 4), "tensor \"a\" ends before it begins",
       "at byte 13: found data_offsets [4,0]; allowed: begin <= end"},
      {"size_differs", one("\"F32\"", "[2]", "[0,4]", 4),
       "tensor \"a\" has another size than its shape",
       "at byte 13: found 4 bytes in data_offsets [0,4]; allowed: 8 bytes for F32 [2]"},
      {"empty_shape_with_bytes", one("\"F32\"", "[0]", "[0,4]", 4),
       "tensor \"a\" has another size than its shape",
       "at byte 13: found 4 bytes in data_offsets [0,4]; allowed: 0 bytes for F32 [0]"},
      {"gap_at_start", one("\"F32\"", "[1]", "[4,8]", 8), "tensor \"a\" leaves a gap before it",
       "at byte 62: found data that begin at 4; allowed: a begin at 0, where the tensor before "
       "ends"},
      {"gap", container("{" + f32("a", 0, 4) + "," + f32("b", 8, 12) + "}", std::string(12, 'x')),
       "tensor \"b\" leaves a gap before it",
       "at byte 120: found data that begin at 8; allowed: a begin at 4, where the tensor before "
       "ends"},
      {"overlap",
       container("{" + f32("a", 0, 8) + "," + f32("b", 4, 12) + "}", std::string(12, 'x')),
       "tensor \"b\" overlaps another tensor",
       "at byte 124: found data that begin at 4; allowed: a begin at 8, where the tensor before "
       "ends"},
      {"same_range_twice", container("{" + f32("a", 0, 4) + "," + f32("b", 0, 4) + "}", "xxxx"),
       "tensor \"b\" overlaps another tensor",
       "at byte 119: found data that begin at 0; allowed: a begin at 4, where the tensor before "
       "ends"},
      {"empty_tensor_inside_another",
       container("{" + f32("a", 0, 8) + "," + f32("b", 4, 4) + "}", std::string(8, 'x')),
       "tensor \"b\" overlaps another tensor",
       "at byte 123: found data that begin at 4; allowed: a begin at 8, where the tensor before "
       "ends"},
      {"bytes_after_data", one("\"F32\"", "[1]", "[0,4]", 5),
       "bytes that belong to no tensor follow the data", "at byte 66: found 1 byte; allowed: none"},
      {"bytes_without_tensors", container("{}", "PK"),
       "bytes that belong to no tensor follow the data",
       "at byte 10: found 2 bytes; allowed: none"},
      // 8. outside the file
      {"cut_data", one("\"F32\"", "[2]", "[0,8]", 7), "tensor \"a\" lies outside the file",
       "at byte 13: found data_offsets [0,8]; allowed: at most 7 bytes of data"},
      {"range_that_would_overflow",
       one("\"U8\"", "[4]", "[9223372036854775800,9223372036854775804]", 4),
       "tensor \"a\" lies outside the file",
       "at byte 13: found data_offsets [9223372036854775800,9223372036854775804]; allowed: at most "
       "4 bytes of data"},
      {"empty_tensor_outside", one("\"U8\"", "[0]", "[5,5]", 4),
       "tensor \"a\" lies outside the file",
       "at byte 13: found data_offsets [5,5]; allowed: at most 4 bytes of data"},
      {"terabytes", one("\"F64\"", "[1099511627776]", "[0,8796093022208]", 8),
       "tensor \"a\" lies outside the file",
       "at byte 13: found data_offsets [0,8796093022208]; allowed: at most 8 bytes of data"},
  };
  return all;
}

}  // namespace qhost::storage
