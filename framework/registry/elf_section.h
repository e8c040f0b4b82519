/// registry/elf_section.h: reads one section of a shared library as bytes of an untrusted file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace qhost {

/// Why a file cannot be read as a shared library: one clause ("it is empty") and the help.
class ElfError : public std::runtime_error {
 public:
  ElfError(const std::string& clause, std::string help_text)
      : std::runtime_error(clause), help(std::move(help_text)) {}
  std::string help;
};

/// The contents of the only section of that name, at most `limit` bytes. Throws ElfError if the
/// file is not a complete shared library for this machine, or if the section is missing, repeated
/// or larger. Checks every offset and length against the size of the file, those of loadable
/// segments too: mapping a truncated file would end the process.
std::string read_elf_section(const std::filesystem::path& file, const std::string& section,
                             std::size_t limit);

}  // namespace qhost
