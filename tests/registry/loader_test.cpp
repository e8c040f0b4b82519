#include "registry/loader.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "registry/fixture.h"
#include "registry/refusal.h"
#include "registry/search.h"

namespace qhost::tests {
namespace {

using testing::StartsWith;
using testing::UnorderedElementsAre;

class OpenPlugin : public PluginFolder {
 protected:
  static const PluginDescriptor& open(const fs::path& file) {
    return open_plugin(file, read_stamp(file));
  }
  static std::string refusal(const fs::path& file) {
    return text_of<PluginRefusal>([&] { open(file); });
  }
  /// The complete text of a refusal: the clause, then the help.
  static std::string text(const fs::path& file, const std::string& clause,
                          const std::string& help) {
    return file.string() + " is not a usable plugin: " + clause + "\nhelp: " + help;
  }
};

TEST_F(OpenPlugin, ASoundOne) {
  const PluginDescriptor& descriptor = open(copy("good"));
  EXPECT_EQ(descriptor.magic, plugin_magic);
  EXPECT_STREQ(descriptor.name, "good");
  EXPECT_STREQ(descriptor.version, "1.2.3");
  EXPECT_STREQ(descriptor.description, "an architecture of one linear layer");
  EXPECT_STREQ(descriptor.license, "Apache-2.0");
  EXPECT_STREQ(descriptor.origin, "https://example.org/good");
  EXPECT_THAT(descriptor.stamp, StartsWith("QHOST-STAMP-1\nname=good\nversion=1.2.3\n"));
  EXPECT_EQ(*descriptor.abi_guard, QHOST_ABI_VERSION);
}

TEST_F(OpenPlugin, ThroughALink) {
  const fs::path real = write("good-1.2.3", read_bytes(built_plugin("good")));
  fs::create_symlink(real, folder / "good.so");
  EXPECT_STREQ(open(folder / "good.so").name, "good");
}

TEST_F(OpenPlugin, OneThatIsStripped) {
  const fs::path file = copy("good");
  ASSERT_EQ(std::system(("strip --strip-all " + file.string()).c_str()), 0);
  EXPECT_STREQ(open(file).name, "good");
}

TEST_F(OpenPlugin, ForAnotherQhost) {
  const std::string own = host_guard_name();
  ASSERT_THAT(own, StartsWith("qhost_abi_" QHOST_TEXT(QHOST_ABI_VERSION) "__torch_"));
  std::string other = own;
  const auto next = static_cast<char>('0' + (QHOST_ABI_VERSION + 1) % 10);
  other[std::string("qhost_abi_").size()] = next;
  const std::string torch = std::to_string(QHOST_TORCH_MAJOR) + "." +
                            std::to_string(QHOST_TORCH_MINOR) + "." +
                            std::to_string(QHOST_TORCH_PATCH);
  const fs::path file = patched("good", own, other);
  EXPECT_EQ(refusal(file),
            text(file,
                 std::string("it was built for another qhost: plugin ABI ") + next + ", LibTorch " +
                     torch +
                     ", _GLIBCXX_USE_CXX11_ABI 1; this qhost is plugin ABI " QHOST_TEXT(
                         QHOST_ABI_VERSION) ", "
                                            "LibTorch " +
                     torch + ", _GLIBCXX_USE_CXX11_ABI 1",
                 rebuild_help()));
}

TEST_F(OpenPlugin, WithAMissingSymbol) {
  const fs::path file = copy("missing_symbol");
  EXPECT_EQ(refusal(file),
            text(file,
                 "it needs the symbol elsewhere::widths(int), which neither this qhost nor a "
                 "library it links has",
                 "link the plugin with the library that defines it (LIBRARIES of "
                 "qhost_add_plugin), or rebuild it against this qhost"));
}

TEST_F(OpenPlugin, WithAMissingLibrary) {
  const fs::path file = patched("borrower", "liblender.so", "liblendor.so");
  EXPECT_EQ(refusal(file),
            text(file,
                 "it cannot be loaded: liblendor.so: cannot open shared object file: No such file "
                 "or directory",
                 "`ldd " + file.string() + "` shows the libraries that it needs"));
}

TEST_F(OpenPlugin, WithoutAnEntry) {
  const fs::path file = copy("no_entry");
  EXPECT_EQ(refusal(file),
            text(file, "it has no entry function qhost_plugin_no_entry()",
                 "the name in QHOST_PLUGIN() must be the name in qhost_add_plugin()"));
}

TEST_F(OpenPlugin, WithTheEntryOfAnotherFile) {
  const fs::path file = built_plugin("borrower");
  EXPECT_EQ(refusal(file),
            text(file,
                 "its entry function lies in another file, " +
                     (file.parent_path() / "liblender.so").string(),
                 "a plugin must not link another plugin; move shared code into a library"));
}

TEST_F(OpenPlugin, WithADescriptorThatDoesNotFit) {
  const std::string size = std::to_string(sizeof(PluginDescriptor));
  const std::string registrar = std::to_string(sizeof(Registrar));
  const auto expect = [&](const std::string& name, const std::string& clause,
                          const std::string& help) {
    const fs::path file = copy(name);
    EXPECT_EQ(refusal(file), text(file, clause, help));
  };
  expect("wrong_magic",
         "its descriptor does not fit: the magic number is 17, this qhost has " +
             std::to_string(plugin_magic),
         rebuild_help());
  expect("other_size",
         "its descriptor does not fit: the descriptor's size is 64, this qhost has " + size,
         rebuild_help());
  expect("other_registrar",
         "its descriptor does not fit: the size of Registrar is 592, this qhost has " + registrar,
         rebuild_help());
  expect("empty_license", "its descriptor has an empty field \"license\"",
         "fill in every text of QHOST_PLUGIN()");
  expect("other_version", "its descriptor gives the version \"9.9.9\", its stamp \"1.0.0\"",
         "build it again with qhost_add_plugin()");
  expect("no_register", "its descriptor has no register function",
         "define the entry by QHOST_PLUGIN()");
  expect("null_descriptor", "its entry function returned no descriptor",
         "define the entry by QHOST_PLUGIN()");
}

std::vector<std::string> exported_symbols(const fs::path& file) {
  std::vector<std::string> names;
  FILE* nm = ::popen(("nm -D --defined-only --format=just-symbols " + file.string()).c_str(), "r");
  if (nm == nullptr) throw std::runtime_error("cannot start nm");
  char line[4096];
  while (std::fgets(line, sizeof line, nm) != nullptr) {
    names.emplace_back(line, std::string(line).find_last_not_of('\n') + 1);
  }
  if (::pclose(nm) != 0) throw std::runtime_error("nm failed for " + file.string());
  return names;
}

TEST(PluginSymbols, OnlyTheEntryAndTheStampAreExported) {
  EXPECT_THAT(exported_symbols(built_plugin("good")),
              UnorderedElementsAre("qhost_plugin_good", "qhost_stamp_good"));
  // Every plugin of the installation that is built so far.
  const fs::path shipped = core_directory() / "qhost" / "plugins";
  if (!fs::is_directory(shipped)) return;
  for (const fs::path& file : plugin_files(shipped)) {
    const std::string name = file.stem().string();
    EXPECT_THAT(exported_symbols(file),
                UnorderedElementsAre("qhost_plugin_" + name, "qhost_stamp_" + name))
        << file;
  }
}

}  // namespace
}  // namespace qhost::tests
