#include "registry/registry.h"

#include <sys/stat.h>

#include <cstdlib>

#include "qhost/error.h"
#include "registry/fixture.h"
#include "registry/loader.h"
#include "storage/sha256.h"

namespace qhost::tests {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

bool is_mapped(const fs::path& file) {
  return read_bytes("/proc/self/maps").find(file.string()) != std::string::npos;
}

class RegistryTest : public PluginFolder {
 protected:
  Registry registry(bool allow_insecure = false) const {
    return Registry(
        {.plugin_paths = {folder}, .allow_insecure = allow_insecure, .default_paths = false});
  }
  /// The error of a request for an architecture.
  static Error error_of(Registry& registry, const std::string& name) {
    try {
      registry.architecture(name);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown for " << name;
    return {ErrorKind::internal, ""};
  }
  static void expect_error(Registry& registry, const std::string& name, ErrorKind kind,
                           const std::string& text) {
    const Error error = error_of(registry, name);
    EXPECT_EQ(error.kind(), kind);
    EXPECT_EQ(error.what(), text);
  }
  /// The text for one refused file.
  static std::string cannot(const std::string& name, const fs::path& file,
                            const std::string& reason, const std::string& help) {
    return "architecture \"" + name + "\" cannot be used\n  its plugin was refused:\n  " +
           file.string() + "\n    " + reason + "\nhelp: " + help;
  }
};

TEST_F(RegistryTest, UnknownBeforeAndKnownAfter) {
  Registry before = registry();
  expect_error(before, "one_layer", ErrorKind::configuration,
               "unknown architecture \"one_layer\"\n  found: none\n  searched:\n    " +
                   folder.string() +
                   "  (--plugin-path)\nhelp: `qhost list` shows all components; add a plugin's "
                   "folder by --plugin-path FOLDER or QHOST_PLUGIN_PATH");
  EXPECT_FALSE(before.has("architecture", "one_layer"));

  const fs::path file = copy("good");
  Registry after = registry();
  EXPECT_TRUE(after.has("architecture", "one_layer"));
  EXPECT_THAT(after.names("architecture"), ElementsAre("one_layer"));
  EXPECT_THAT(after.loaded(), IsEmpty());
  EXPECT_FALSE(is_mapped(file)) << "asking for names loads nothing";

  const Architecture& architecture = after.architecture("one_layer");
  EXPECT_EQ(architecture.summary, "one linear layer") << "std::filesystem in the plugin";
  EXPECT_TRUE(is_mapped(file));
  const auto loaded = after.loaded();
  ASSERT_THAT(loaded, SizeIs(1));
  EXPECT_EQ(loaded[0].name, "good");
  EXPECT_EQ(loaded[0].version, "1.2.3");
  EXPECT_EQ(loaded[0].path, file);
  EXPECT_EQ(loaded[0].sha256, storage::sha256_file(file));
}

TEST_F(RegistryTest, ThePluginsArchitectureBuildsAGraph) {
  copy("good");
  Registry plugins = registry();
  const Architecture& architecture = plugins.architecture("one_layer");
  GraphBuilder builder;
  const Value logits =
      architecture.build(builder, builder.input({{3, 8, 8}}), {Shape{{3, 8, 8}}, 10}, Options{});
  const Graph graph = builder.finish(logits, 10);
  EXPECT_EQ(graph.output().name, "head");
  EXPECT_EQ(graph.output().shape, (Shape{{10}}));
}

TEST_F(RegistryTest, OnlyTheFileThatIsNeededIsOpened) {
  copy("good");
  const fs::path other = copy("throwing");
  Registry plugins = registry();
  plugins.architecture("one_layer");
  EXPECT_FALSE(is_mapped(other));
  EXPECT_THAT(plugins.loaded(), SizeIs(1));
}

TEST_F(RegistryTest, LoadAThenBThenA) {
  copy("good");
  copy("second");
  Registry plugins = registry();
  const Architecture& a = plugins.architecture("one_layer");
  const Architecture& b = plugins.architecture("second_b");
  const Architecture& again = plugins.architecture("one_layer");
  EXPECT_EQ(&a, &again);
  EXPECT_EQ(a.summary, "one linear layer");
  EXPECT_EQ(b.summary, "the second of second");
  EXPECT_EQ(plugins.architecture("second_a").summary, "the first of second");
  EXPECT_THAT(plugins.loaded(), SizeIs(2)) << "each file once";
}

TEST_F(RegistryTest, TwoRegistriesShareAnOpenFile) {
  copy("good");
  Registry first = registry(), second = registry();
  EXPECT_EQ(first.architecture("one_layer").name, second.architecture("one_layer").name);
  EXPECT_THAT(second.loaded(), SizeIs(1));
}

TEST_F(RegistryTest, AComponentOutlivesItsRegistrysUse) {
  copy("good");
  std::function<Value(GraphBuilder&, Value, const ArchitectureContext&, const Options&)> build;
  {
    Registry plugins = registry();
    build = plugins.architecture("one_layer").build;
  }
  GraphBuilder builder;
  EXPECT_EQ(build(builder, builder.input({{1, 4, 4}}), {Shape{{1, 4, 4}}, 2}, Options{}).shape(),
            (Shape{{2}}))
      << "the library stays open";
}

TEST_F(RegistryTest, UnknownNameWithANearMatch) {
  copy("good");
  copy("second");
  const fs::path bad = write("bad.so", "text");
  Registry plugins = registry();
  expect_error(plugins, "second_c", ErrorKind::configuration,
               "unknown architecture \"second_c\"\n"
               "  did you mean \"second_a\" or \"second_b\"?\n"
               "  found: \"one_layer\", \"second_a\", \"second_b\"\n"
               "  searched:\n    " +
                   folder.string() + "  (--plugin-path)\n  refused:\n    " + bad.string() +
                   ": it is not a shared library (no ELF header)\n"
                   "help: `qhost list` shows all components; add a plugin's folder by "
                   "--plugin-path FOLDER or QHOST_PLUGIN_PATH");
  EXPECT_THAT(plugins.explain_missing("architecture", "second_c").text(),
              AllOf(StartsWith("  searched:\n"), HasSubstr("  refused:\n")));
}

TEST_F(RegistryTest, AnArchitectureIsNoQuantizer) {
  copy("good");
  Registry plugins = registry();
  const std::string text = text_of<Error>([&] { plugins.quantizer("one_layer"); });
  EXPECT_THAT(text, AllOf(StartsWith("unknown quantizer \"one_layer\"\n"),
                          HasSubstr("\"one_layer\" is an architecture"), HasSubstr("found: none")));
}

TEST_F(RegistryTest, TheWholeSearchPathIsNamed) {
  ::setenv("QHOST_PLUGIN_PATH", ("relative:" + (folder / "gone").string()).c_str(), 1);
  Registry plugins{SearchOptions{}};
  ::unsetenv("QHOST_PLUGIN_PATH");
  EXPECT_THAT(plugins.explain_missing("quantizer", "no_such_method").text(),
              AllOf(HasSubstr("    relative  (QHOST_PLUGIN_PATH; ignored: it is relative, and the "
                              "working directory is never searched)\n"),
                    HasSubstr("    " + (folder / "gone").string() +
                              "  (QHOST_PLUGIN_PATH; there is no such folder)\n"),
                    HasSubstr("(user folder"), HasSubstr("(installation")));
}

TEST_F(RegistryTest, AllMismatchesComeInOneMessage) {
  const fs::path first = patched("good", "\nabi=" QHOST_TEXT(QHOST_ABI_VERSION) "\ncompiler=gcc ",
                                 "\nabi=9\ncompiler=icc ");
  Registry plugins = registry();
  expect_error(plugins, "one_layer", ErrorKind::plugin,
               cannot("one_layer", first,
                      "plugin ABI number: 9 in the plugin, " QHOST_TEXT(
                          QHOST_ABI_VERSION) " in this qhost\n    compiler: icc " +
                          host_stamp().compiler.substr(4) + " in the plugin, " +
                          host_stamp().compiler + " in this qhost",
                      rebuild_help()));
  EXPECT_THAT(rebuild_help(),
              AllOf(StartsWith("rebuild it against this qhost: cmake -S PLUGIN_SOURCE -B"),
                    HasSubstr("-DQhostSdk_DIR="), HasSubstr("&& cmake --build PLUGIN_BUILD")));
}

TEST_F(RegistryTest, AnotherLibTorchIsRefused) {
  std::string other = host_stamp().torch;
  other[0] = '9';
  const fs::path file = patched("good", "\ntorch=" + host_stamp().torch, "\ntorch=" + other);
  Registry plugins = registry();
  expect_error(plugins, "one_layer", ErrorKind::plugin,
               cannot("one_layer", file,
                      "LibTorch version: " + other + " in the plugin, " + host_stamp().torch +
                          " in this qhost",
                      rebuild_help()));
  EXPECT_FALSE(is_mapped(file)) << "gate 0 runs none of its code";
}

TEST_F(RegistryTest, AnotherBuildTypeWarnsAndLoads) {
  std::string other = host_stamp().build_type;
  std::fill(other.begin(), other.end(), 'D');
  patched("good", "\nbuild_type=" + host_stamp().build_type, "\nbuild_type=" + other);
  Registry plugins = registry();
  EXPECT_EQ(plugins.architecture("one_layer").name, "one_layer");
  EXPECT_THAT(plugins.plugins()[0].warnings,
              ElementsAre("build type: " + other + " in the plugin, " + host_stamp().build_type +
                          " in this qhost"));
}

TEST_F(RegistryTest, AWrongFileName) {
  const fs::path file = copy("good", "better");
  Registry plugins = registry();
  expect_error(
      plugins, "one_layer", ErrorKind::plugin,
      cannot("one_layer", file, "its stamp names it \"good\"", "rename the file to good.so"));
}

TEST_F(RegistryTest, ATruncatedFileThatBearsTheNameIsFoundAndRefused) {
  const std::string bytes = read_bytes(built_plugin("good"));
  const fs::path file = write("one_layer.so", bytes.substr(0, 4000));
  Registry plugins = registry();
  const Error error = error_of(plugins, "one_layer");
  EXPECT_EQ(error.exit_code(), 3);
  EXPECT_THAT(error.what(), AllOf(HasSubstr(file.string()), HasSubstr("the file has 4000"),
                                  HasSubstr("help: build it again, or copy it again in full")));
}

TEST_F(RegistryTest, AWorldWritableFile) {
  const fs::path file = copy("good");
  fs::permissions(file, fs::perms(0777));
  Registry plugins = registry();
  EXPECT_FALSE(plugins.insecure_allowed());
  expect_error(plugins, "one_layer", ErrorKind::plugin,
               cannot("one_layer", file,
                      "the file " + file.string() + " can be written by every user (chmod o-w " +
                          file.string() + ")",
                      "correct the owner or the permissions, or accept the risk by "
                      "--allow-insecure-plugins"));
  Registry trusting = registry(true);
  EXPECT_TRUE(trusting.insecure_allowed());
  EXPECT_EQ(trusting.architecture("one_layer").name, "one_layer");
}

TEST_F(RegistryTest, AThrowingRegisterFunctionLeavesNothing) {
  const fs::path file = copy("throwing");
  Registry plugins = registry();
  expect_error(plugins, "half_done", ErrorKind::plugin,
               cannot("half_done", file,
                      "plugin \"throwing\" 1.0.0: its register function threw: the table of widths "
                      "is missing",
                      "this is a defect of the plugin: report it to https://example.org/throwing"));
  EXPECT_THAT(plugins.list(), IsEmpty());
  EXPECT_THAT(plugins.loaded(), IsEmpty());
  EXPECT_FALSE(plugins.has("architecture", "half_done"));
}

TEST_F(RegistryTest, ARegisterFunctionThatThrowsANumber) {
  copy("throws_number");
  Registry plugins = registry();
  EXPECT_THAT(error_of(plugins, "numbered").what(),
              HasSubstr("its register function threw something that is no std::exception"));
}

TEST_F(RegistryTest, ANameTwiceInOnePluginEvenIfItHidesTheError) {
  copy("swallows");
  Registry plugins = registry();
  EXPECT_THAT(error_of(plugins, "swallowed").what(),
              HasSubstr("architecture \"swallowed\" is registered twice by this plugin"));
}

TEST_F(RegistryTest, MoreThanTheStampNames) {
  const fs::path file = copy("registers_more");
  Registry plugins = registry();
  expect_error(plugins, "declared", ErrorKind::plugin,
               cannot("declared", file,
                      "plugin \"registers_more\" 1.0.0: it registers architecture \"smuggled\", "
                      "which its stamp does not name",
                      "this is a defect of the plugin: report it to https://example.org/more"));
  EXPECT_EQ(error_of(plugins, "smuggled").exit_code(), 2);
}

TEST_F(RegistryTest, LessThanTheStampNames) {
  const fs::path file = copy("registers_less");
  Registry plugins = registry();
  expect_error(plugins, "present", ErrorKind::plugin,
               cannot("present", file,
                      "plugin \"registers_less\" 1.0.0: its stamp names architecture \"absent\", "
                      "which it does not register",
                      "this is a defect of the plugin: report it to https://example.org/less"));
}

TEST_F(RegistryTest, ADuplicateNamesBothFiles) {
  const fs::path a = copy("twin_a"), b = copy("twin_b");
  Registry plugins = registry();
  expect_error(plugins, "twin", ErrorKind::plugin,
               "architecture \"twin\" is provided by several plugins:\n  plugin twin_a (" +
                   a.string() + ")\n  plugin twin_b (" + b.string() +
                   ")\nhelp: remove all but one of them, or rename the component in one");
  plugins.list();
  EXPECT_EQ(error_of(plugins, "twin").exit_code(), 3) << "also after listing";
}

TEST_F(RegistryTest, ABadPluginNeverStopsTheList) {
  const fs::path good = copy("good");
  copy("second");
  for (const char* name : {"throwing", "throws_number", "swallows", "registers_more",
                           "registers_less", "missing_symbol", "empty_license", "wrong_magic",
                           "null_descriptor", "no_entry", "no_stamp"}) {
    copy(name);
  }
  write("text.so", "text");
  write("empty.so", "");
  write("truncated.so", read_bytes(built_plugin("good")).substr(0, 5000));
  fs::create_directory(folder / "directory.so");
  ASSERT_EQ(::mkfifo((folder / "pipe.so").c_str(), 0600), 0);
  fs::create_symlink("nowhere", folder / "dangling.so");

  Registry plugins = registry();
  const auto entries = plugins.list();
  ASSERT_THAT(entries, SizeIs(3));
  EXPECT_EQ(entries[0].kind, "architecture");
  EXPECT_EQ(entries[0].name, "one_layer");
  EXPECT_EQ(entries[0].plugin, "good");
  EXPECT_EQ(entries[0].version, "1.2.3");
  EXPECT_EQ(entries[0].summary, "one linear layer");
  EXPECT_EQ(entries[0].file, good);
  EXPECT_EQ(entries[1].name, "second_a");
  EXPECT_EQ(entries[2].name, "second_b");

  const auto files = plugins.plugins();
  EXPECT_THAT(files, SizeIs(19));
  for (const PluginStatus& status : files) {
    const bool sound = status.name == "good" || status.name == "second";
    EXPECT_EQ(status.usable, sound) << status.file;
    EXPECT_EQ(status.reasons.empty(), sound) << status.file;
    EXPECT_EQ(status.help.empty(), sound) << status.file;
  }
  EXPECT_EQ(plugins.architecture("one_layer").name, "one_layer");
}

TEST_F(RegistryTest, BuiltInComponents) {
  Registry plugins = registry();
  plugins.add_builtin("inside", "1.0", [](Registrar& registrar) {
    registrar.add_quantizer({.name = "inner", .summary = "built in", .create = [](const Options&) {
                               return std::make_unique<Quantizer>();
                             }});
  });
  EXPECT_EQ(plugins.quantizer("inner").summary, "built in");
  const auto entries = plugins.list();
  ASSERT_THAT(entries, SizeIs(1));
  EXPECT_EQ(entries[0].kind, "quantizer");
  EXPECT_EQ(entries[0].plugin, "inside");
  EXPECT_EQ(entries[0].file, "");
  EXPECT_THAT(text_of<Error>([&] { plugins.add_builtin("late", "1.0", [](Registrar&) {}); }),
              HasSubstr("built-in plugin \"late\" was added after the registry had been asked"));
}

TEST_F(RegistryTest, ABuiltInAndAFileWithOneComponent) {
  const fs::path file = copy("good");
  Registry plugins = registry();
  const auto register_it = [](Registrar& registrar) {
    registrar.add_architecture({.name = "one_layer",
                                .summary = "built in",
                                .build = [](GraphBuilder&, Value input, const ArchitectureContext&,
                                            const Options&) { return input; }});
  };
  plugins.add_builtin("inside", "1.0", register_it);
  expect_error(plugins, "one_layer", ErrorKind::plugin,
               "architecture \"one_layer\" is provided by several plugins:\n  plugin inside (built "
               "in)\n  plugin good (" +
                   file.string() +
                   ")\nhelp: remove all but one of them, or rename the component in one");
  EXPECT_THAT(text_of<Error>([&] {
                Registry twice = registry();
                twice.add_builtin("inside", "1.0", register_it);
                twice.add_builtin("again", "1.0", register_it);
              }),
              HasSubstr("architecture \"one_layer\" is registered already by plugin inside (built "
                        "in)"));
}

// Errors of the registrar, for plugins and built-ins alike.
TEST_F(RegistryTest, IllFormedComponents) {
  const auto architecture = [](std::string name, std::vector<Option> options) {
    return Architecture{.name = std::move(name),
                        .options = std::move(options),
                        .build = [](GraphBuilder&, Value input, const ArchitectureContext&,
                                    const Options&) { return input; }};
  };
  const auto expect = [&](const std::function<void(Registrar&)>& add, const std::string& text) {
    Registry plugins = registry();
    EXPECT_EQ(text_of<Error>([&] { plugins.add_builtin("bad", "1.0", add); }),
              "built-in plugin \"bad\" 1.0: " + text + "\nhelp: this is a defect of the program");
  };
  expect([&](Registrar& r) { r.add_architecture(architecture("Res-Net", {})); },
         "the name of architecture \"Res-Net\" may hold only a-z, 0-9 and _");
  expect([&](Registrar& r) { r.add_architecture({.name = "empty"}); },
         "architecture \"empty\" has no build function");
  expect([&](Registrar& r) { r.add_quantizer({.name = "empty"}); },
         "quantizer \"empty\" has no create function");
  expect(
      [&](Registrar& r) {
        r.add_quantizer({.name = "idle", .roles = {}, .create = [](const Options&) {
                           return std::make_unique<Quantizer>();
                         }});
      },
      "quantizer \"idle\" offers no role");
  expect(
      [&](Registrar& r) {
        r.add_architecture(architecture(
            "twice", {Option::integer("depth", 20, ""), Option::real("depth", 1, "")}));
      },
      "architecture \"twice\" declares the option \"depth\" twice");
  expect(
      [&](Registrar& r) {
        r.add_architecture(architecture("named", {Option::string("name", "x", "")}));
      },
      "architecture \"named\" declares the option \"name\", a name that the host keeps for itself");
  const std::string why = Option::integer("depth", 7, "").at_least(8).why_invalid(std::int64_t{7});
  ASSERT_THAT(why, Not(IsEmpty()));
  expect(
      [&](Registrar& r) {
        r.add_architecture(architecture("shallow", {Option::integer("depth", 7, "").at_least(8)}));
      },
      "architecture \"shallow\": the default of the option \"depth\" is not valid: " + why);
}

// LibTorch exports std::filesystem symbols; the host's calls must be bound to working ones.
TEST(HostFilesystem, Works) {
  std::string pattern = (fs::temp_directory_path() / "qhost-fs-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const fs::path root = fs::canonical(pattern);
  fs::create_directories(root / "a/b");
  std::ofstream(root / "a/b/file") << "text";
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) seen += entry.exists() ? 1 : 0;
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(fs::relative(root / "a/b/file", root / "a"), fs::path("b/file"));
  EXPECT_EQ(fs::file_size(root / "a/b/file"), 4u);
  EXPECT_EQ(fs::remove_all(root), 4u);
}

}  // namespace
}  // namespace qhost::tests
