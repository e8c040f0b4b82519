#include "registry/elf_section.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/file_descriptor.h"
#include "registry/refusal.h"

namespace qhost {
namespace {

#if defined(__x86_64__)
constexpr int host_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int host_machine = EM_AARCH64;
#elif defined(__riscv)
constexpr int host_machine = EM_RISCV;
#else
#error "name this processor's ELF machine number here"
#endif

constexpr std::uint64_t name_table_limit = 1 << 20;
const char* const copy_help = "build it again, or copy it again in full";
const char* const build_help =
    "a plugin is a shared library built by qhost_add_plugin(); move other files out of the plugin "
    "folder";

std::string machine_name(int machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_386:
      return "32-bit x86";
    case EM_AARCH64:
      return "aarch64";
    case EM_ARM:
      return "32-bit ARM";
    case EM_RISCV:
      return "RISC-V";
    default:
      return "ELF machine " + std::to_string(machine);
  }
}

class File {
 public:
  explicit File(const std::filesystem::path& path) : path_(path) {
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    descriptor_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!descriptor_.valid()) {
      throw PluginRefusal(path_, std::string("it cannot be read: ") + std::strerror(errno),
                          "check that the file exists and that its permissions let you read it");
    }
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
      throw PluginRefusal(path_, "it is not a regular file", build_help);
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }

  /// Checks that a range lies inside the file; `what` names it in the error.
  void check(const char* what, std::uint64_t offset, std::uint64_t length) const {
    if (length > size_ || offset > size_ - length) {
      const bool overflows = offset > UINT64_MAX - length;
      throw PluginRefusal(path_,
                          std::string("it is truncated or damaged: ") + what + " ends at byte " +
                              (overflows ? "2^64 and more" : std::to_string(offset + length)) +
                              ", the file has " + std::to_string(size_),
                          copy_help);
    }
  }

  void read(const char* what, std::uint64_t offset, void* out, std::size_t length) const {
    check(what, offset, length);
    char* to = static_cast<char*>(out);
    while (length > 0) {
      const ssize_t got = ::pread(descriptor_.get(), to, length, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        throw PluginRefusal(path_,
                            std::string("reading ") + what + " failed: " +
                                (got < 0 ? std::strerror(errno) : "the file became shorter"),
                            copy_help);
      }
      to += got;
      offset += static_cast<std::uint64_t>(got);
      length -= static_cast<std::size_t>(got);
    }
  }

  template <class T>
  std::vector<T> table(const char* what, std::uint64_t offset, std::size_t count) const {
    check(what, offset, count * sizeof(T));  // check before the memory is allocated
    std::vector<T> entries(count);
    read(what, offset, entries.data(), count * sizeof(T));
    return entries;
  }

 private:
  const std::filesystem::path& path_;
  FileDescriptor descriptor_;
  std::uint64_t size_ = 0;
};

Elf64_Ehdr read_header(const File& file) {
  if (file.size() == 0) throw PluginRefusal(file.path(), "it is empty", copy_help);
  unsigned char identification[EI_NIDENT] = {};
  if (file.size() < SELFMAG) {
    throw PluginRefusal(file.path(), "it is not a shared library (no ELF header)", build_help);
  }
  file.read("the ELF magic", 0, identification, SELFMAG);
  if (std::memcmp(identification, ELFMAG, SELFMAG) != 0) {
    throw PluginRefusal(file.path(), "it is not a shared library (no ELF header)", build_help);
  }
  file.read("the ELF identification", 0, identification, sizeof identification);
  constexpr int host_order = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  if (identification[EI_CLASS] != ELFCLASS64 || identification[EI_DATA] != host_order) {
    throw PluginRefusal(file.path(),
                        "it was built for another machine (not 64-bit in this byte order)",
                        "build it on, or for, " + machine_name(host_machine));
  }
  Elf64_Ehdr header{};
  file.read("the ELF header", 0, &header, sizeof header);
  if (header.e_machine != host_machine) {
    throw PluginRefusal(file.path(),
                        "it was built for " + machine_name(header.e_machine) +
                            ", this machine is " + machine_name(host_machine),
                        "build it on, or for, " + machine_name(host_machine));
  }
  if (header.e_type != ET_DYN) {
    throw PluginRefusal(file.path(), "it is an ELF file but not a shared library", build_help);
  }
  return header;
}

void check_segments(const File& file, const Elf64_Ehdr& header) {
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0) {
    throw PluginRefusal(file.path(), "it is damaged: its ELF program header table is malformed",
                        copy_help);
  }
  for (const Elf64_Phdr& segment :
       file.table<Elf64_Phdr>("the program header table", header.e_phoff, header.e_phnum)) {
    if (segment.p_type == PT_LOAD) file.check("a segment", segment.p_offset, segment.p_filesz);
  }
}

}  // namespace

std::string read_elf_section(const std::filesystem::path& path, const std::string& section,
                             std::size_t limit) {
  const File file(path);
  const Elf64_Ehdr header = read_header(file);
  check_segments(file, header);
  if (header.e_shnum == 0) {
    throw PluginRefusal(file.path(),
                        "it has no section \"" + section + "\" (its section table was removed)",
                        "do not strip section headers (sstrip) from a plugin");
  }
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum) {
    throw PluginRefusal(file.path(), "it is damaged: its ELF section table is malformed",
                        copy_help);
  }
  const auto sections = file.table<Elf64_Shdr>("the section table", header.e_shoff, header.e_shnum);
  const Elf64_Shdr& names_section = sections[header.e_shstrndx];
  if (names_section.sh_type != SHT_STRTAB || names_section.sh_size > name_table_limit) {
    throw PluginRefusal(file.path(), "it is damaged: its table of section names is malformed",
                        copy_help);
  }
  std::string names(names_section.sh_size, '\0');
  file.read("the table of section names", names_section.sh_offset, names.data(), names.size());

  const Elf64_Shdr* found = nullptr;
  for (const Elf64_Shdr& candidate : sections) {
    if (candidate.sh_name >= names.size()) continue;
    const std::size_t room = names.size() - candidate.sh_name;
    if (section.size() + 1 > room ||
        names.compare(candidate.sh_name, section.size() + 1, section + '\0') != 0) {
      continue;
    }
    if (found != nullptr) {
      throw PluginRefusal(file.path(), "it has two sections \"" + section + "\"", build_help);
    }
    found = &candidate;
  }
  if (found == nullptr || found->sh_type != SHT_PROGBITS) {
    throw PluginRefusal(
        file.path(), "it carries no qhost stamp (no ELF section \"" + section + "\")", build_help);
  }
  if (found->sh_size > limit) {
    throw PluginRefusal(file.path(),
                        "its section \"" + section + "\" has " + std::to_string(found->sh_size) +
                            " bytes, at most " + std::to_string(limit) + " are read",
                        build_help);
  }
  std::string contents(found->sh_size, '\0');
  file.read("the qhost stamp", found->sh_offset, contents.data(), contents.size());
  return contents;
}

}  // namespace qhost
