/// storage/other_format.h: recognizes weights that are stored in another format than safetensors.
#pragma once

#include <filesystem>
#include <string>

namespace qhost::storage {

/// What the first bytes of the file say it is, with its article, if that is a format in which
/// weights are often stored: "a zip archive, as torch.save() writes", "an HDF5 file, as Keras
/// writes"; or text or an image, by mistake. "" for any other file, and for one that cannot be read.
std::string other_format(const std::filesystem::path& file);

/// True for the formats that torch.save() writes: a zip archive or a pickle.
bool may_be_from_pytorch(const std::filesystem::path& file);

}  // namespace qhost::storage
