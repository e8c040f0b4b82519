// PNG and JPEG files: the pixels that Pillow reads, and a sentence for each file that is none.
#include "images/image_file.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "images/golden.h"
#include "images/png_bytes.h"
#include "qhost/error.h"

namespace qhost::images {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using tests::from_hex;

std::string golden_file(const std::string& name) {
  const nlohmann::json golden = tests::pillow();
  for (const nlohmann::json& one : golden.at("files")) {
    if (one.at("name") == name) return from_hex<std::string>(one.at("file").get<std::string>());
  }
  ADD_FAILURE() << name;
  return "";
}

std::string refused(const std::string& bytes, const std::string& name = "f") {
  try {
    image_of(bytes, name);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    return error.what();
  }
  return "";
}

TEST(ImageFile, HasThePixelsThatPillowReads) {
  const nlohmann::json golden = tests::pillow();
  ASSERT_EQ(golden.at("files").size(), 20U);
  for (const nlohmann::json& one : golden.at("files")) {
    const std::string name = one.at("name");
    SCOPED_TRACE(name);
    const Image image = image_of(from_hex<std::string>(one.at("file").get<std::string>()), name);
    EXPECT_EQ(image.width, one.at("width"));
    EXPECT_EQ(image.height, one.at("height"));
    EXPECT_EQ(image.channels, one.at("channels"));
    const auto wanted = from_hex<std::vector<std::uint8_t>>(one.at("pixels").get<std::string>());
    if (!name.ends_with(".jpg")) {
      EXPECT_EQ(image.pixels, wanted);
      continue;
    }
    // Decoders of JPEG may round differently.
    ASSERT_EQ(image.pixels.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(image.pixels[i], wanted[i], 1) << i;
    }
  }
}

TEST(ImageFile, GrayOf16BitsIsItsHighByte) {
  std::string header = tests::big_endian(3) + tests::big_endian(1) + std::string("\x10\0\0\0\0", 5);
  const std::string row("\0\x00\xff\x01\x00\xff\x7f", 7);
  const std::string file = tests::png_signature + tests::png_chunk("IHDR", header) +
                           tests::png_chunk("IDAT", tests::stored(row)) +
                           tests::png_chunk("IEND", "");
  EXPECT_EQ(image_of(file, "f").pixels, (std::vector<std::uint8_t>{0, 1, 255}));
}

TEST(ImageFile, CutOffAnywhereIsSaid) {
  for (const char* name : {"color.png", "color_interlaced.png", "palette.png", "color.jpg",
                           "color_progressive.jpg", "cmyk.jpg", "gray.jpg"}) {
    const std::string whole = golden_file(name);
    const bool png = std::string(name).ends_with(".png");
    for (std::size_t size = png ? 8 : 3; size < whole.size(); ++size) {
      SCOPED_TRACE(std::string(name) + " of " + std::to_string(size));
      const std::string text = refused(whole.substr(0, size), "cat");
      EXPECT_THAT(text, StartsWith("cat: the " + std::string(png ? "PNG" : "JPEG") +
                                   " is cut off: it needs more than its " + std::to_string(size) +
                                   " bytes"));
      EXPECT_THAT(text, EndsWith("\nhelp: copy it again from where it came"));
    }
  }
}

TEST(ImageFile, ADamagedOneIsSaidWithTheLibrarysReason) {
  const auto damaged = [](const std::string& name, const std::string& why) {
    return name + ": the " + (name == "cat.png" ? "PNG" : "JPEG") +
           " is damaged, or of a rare kind: " + why +
           "\nhelp: copy it again from where it came, or save it anew with an image editor";
  };
  std::string png = golden_file("color.png");
  png[png.size() - 20] ^= 1;  // the checksum of the pixels
  EXPECT_EQ(refused(png, "cat.png"), damaged("cat.png", "IDAT: incorrect data check"));
  const std::string jpeg = golden_file("color.jpg");
  std::string deep = jpeg;
  deep[deep.find("\xff\xc0") + 4] = 12;
  EXPECT_EQ(refused(deep, "cat.jpg"), damaged("cat.jpg", "Unsupported JPEG data precision 12"));
  // The end of the image in the middle of its data.
  std::string early = jpeg;
  early.replace(early.size() - 8, 2, "\xff\xd9");
  EXPECT_EQ(refused(early, "cat.jpg"),
            damaged("cat.jpg", "Corrupt JPEG data: premature end of data segment"));
  std::string two = jpeg;  // of three channels
  two[two.find("\xff\xc0") + 9] = 2;
  EXPECT_NE(refused(two, "cat.jpg"), "");
}

// No byte of a header may do more than make an error.
TEST(ImageFile, EachByteMayHaveAnyValue) {
  for (const char* name :
       {"color_interlaced.png", "palette_transparent.png", "gray.jpg", "color_progressive.jpg"}) {
    const std::string whole = golden_file(name);
    const bool png = std::string(name).ends_with(".png");
    const std::size_t frame = std::min(whole.find("\xff\xc0"), whole.find("\xff\xc2"));
    for (std::size_t i = 0; i < whole.size(); ++i) {
      // A JPEG may be empty and huge: its decoder needs the memory.
      if (!png && i >= frame + 5 && i < frame + 9) continue;
      for (const int value : {0, 1, 0x7f, 0x80, 0xff}) {
        std::string bytes = whole;
        bytes[i] = static_cast<char>(value);
        try {
          const Image image = image_of(bytes, "f");
          EXPECT_EQ(image.pixels.size(),
                    static_cast<std::size_t>(image.width * image.height * image.channels));
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
        }
      }
    }
  }
}

TEST(ImageFile, AHugeOneIsRefusedBeforeItIsDecoded) {
  const std::string png = tests::png_signature + tests::png_header(20000, 20000, 3) +
                          tests::png_chunk("IDAT", tests::stored("x"));
  EXPECT_EQ(refused(png, "sky.png"),
            "sky.png: 20000x20000 are 400,000,000 pixels; an image may have 178,956,970\nhelp: "
            "scale the image down first");
  std::string jpeg = golden_file("gray.jpg");
  const std::size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  EXPECT_THAT(refused(jpeg, "sky.jpg"),
              StartsWith("sky.jpg: 65500x65500 are 4,290,250,000 pixels"));
  const std::string wide = tests::png_signature + tests::png_header(0x7fffffff, 0x7fffffff, 1) +
                           tests::png_chunk("IDAT", tests::stored("x"));
  EXPECT_NE(refused(wide), "");
}

// Nothing that deflate can hold is taken for a file that is cut off.
TEST(ImageFile, ADensePngIsRead) {
  const std::string raw(2001 * 2000, '\0');  // rows behind their filters
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  std::string packed(size, '\0');
  ASSERT_EQ(
      compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                reinterpret_cast<const Bytef*>(raw.data()), static_cast<uLong>(raw.size()), 9),
      Z_OK);
  packed.resize(size);
  EXPECT_LT(packed.size(), raw.size() / 1000);
  const Image image = image_of(tests::png_signature + tests::png_header(2000, 2000, 1) +
                                   tests::png_chunk("IDAT", packed) + tests::png_chunk("IEND", ""),
                               "f");
  EXPECT_EQ(image, tests::plain_image(2000, 2000, {0}));
}

TEST(ImageFile, OtherFormatsAreNamed) {
  using namespace std::string_literals;
  for (const auto& [bytes, what] :
       std::vector<std::pair<std::string, std::string>>{{"GIF89a\1\0"s, "a GIF image"},
                                                        {"BM\x36\0"s, "a BMP image"},
                                                        {"RIFF\x24\0\0\0WEBPVP8 "s, "a WebP image"},
                                                        {"II*\0\x08\0\0\0"s, "a TIFF image"},
                                                        {"\0\0\0\x1c"
                                                         "ftypavif"s,
                                                         "an AVIF image"},
                                                        {"\0\0\0\x18"
                                                         "ftypheic"s,
                                                         "a HEIF image"},
                                                        {"\0\0\0\fjP  \r\n"s, "a JPEG 2000 image"},
                                                        {"\xff\x0a\x01"s, "a JPEG XL image"},
                                                        {"P6\n2 2"s, "a PNM image"},
                                                        {"<svg width"s, "an SVG image"},
                                                        {"%PDF-1.7"s, "a PDF document"}}) {
    EXPECT_EQ(refused(bytes, "x.png"), "x.png is " + what +
                                           ", and PNG and JPEG are read\nhelp: convert it to PNG "
                                           "with an image editor");
  }
  EXPECT_EQ(refused("", "x.png"),
            "x.png is empty, and no image\nhelp: copy it again from where it came");
  EXPECT_EQ(
      refused("hello\nworld", "x.png"),
      "x.png is no PNG or JPEG: it begins with \"hello\\nwo\"\nhelp: give a PNG or JPEG file");
  EXPECT_EQ(refused("\x01\xfe\x20", "x.png"),
            "x.png is no PNG or JPEG: it begins with 0x01fe20\nhelp: give a PNG or JPEG file");
}

TEST(ImageFile, IsReadFromAFileWhateverItsName) {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "qhost-images-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto failure = [](const fs::path& path) -> std::string {
    try {
      read_image(path);
    } catch (const Error& error) {
      return std::to_string(error.exit_code()) + " " + error.what();
    }
    return "";
  };
  const Image image{.width = 5, .height = 2, .channels = 3, .pixels = tests::noise(30, 4)};
  std::ofstream(folder + "/cat.jpg", std::ios::binary) << tests::png_bytes(image);
  EXPECT_EQ(read_image(folder + "/cat.jpg"), image);
  EXPECT_EQ(failure(folder + "/dog.png"),
            "6 cannot read " + folder +
                "/dog.png: No such file or directory\nhelp: check the path; a folder on the way "
                "may be missing");
  EXPECT_THAT(failure(folder), StartsWith("6 cannot read " + folder + ": Is a directory"));
  ASSERT_EQ(::mkfifo((folder + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(failure(folder + "/pipe"), HasSubstr("it is not a regular file"));
  std::ofstream(folder + "/large.png") << "x";
  fs::resize_file(folder + "/large.png", most_file_bytes + 1);
  EXPECT_EQ(failure(folder + "/large.png"),
            "4 " + folder +
                "/large.png has 1073741825 bytes (1.0 GiB); an image may have 1073741824 bytes "
                "(1.0 GiB)\nhelp: scale the image down first");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace qhost::images
