/// registry/elf_section.h: reads one section of a shared library as bytes of an untrusted file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace qhost {

/// The contents of the only section of that name, at most `limit` bytes. Throws PluginRefusal if the
/// file is not a complete shared library for this machine, or if the section is missing, repeated
/// or larger. Checks every offset and length against the size of the file, those of loadable
/// segments too: mapping a truncated file would end the process.
std::string read_elf_section(const std::filesystem::path& file, const std::string& section,
                             std::size_t limit);

}  // namespace qhost
