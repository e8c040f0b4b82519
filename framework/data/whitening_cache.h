/// data/whitening_cache.h: a fitted whitening is kept for the next start.
///
/// FOLDER/whitening-KEY.safetensors holds {mean, matrix}; its metadata, the SHA-256 of their bytes.
/// KEY is the SHA-256 of all that decides their bits: the training images' bytes, the constants,
/// the number of threads, LibTorch, the processor, and the version of the computation.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/whiten.h"

namespace qhost::data {

std::string whitening_key(const data::Split& train, const WhiteningOptions& options);

/// What is kept in `folder`, else fitted and then kept there; an empty `folder` keeps nothing.
/// Equal to the bit. A damaged file and a folder that cannot be written are told in `notes`, and
/// cost the fit. Throws as Whitener's constructor.
Whitener kept_whitener(const data::Split& train, const WhiteningOptions& options,
                       const std::filesystem::path& folder, std::vector<std::string>& notes);

}  // namespace qhost::data
