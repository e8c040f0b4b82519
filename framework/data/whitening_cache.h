/// data/whitening_cache.h: stores a fitted whitening for the next start.
///
/// FOLDER/whitening-KEY.safetensors holds {mean, matrix}; its metadata holds the SHA-256 of their
/// bytes. KEY is the SHA-256 of everything that decides their bits: the training images' bytes, the
/// constants, the number of threads, LibTorch, the processor, and the version of the computation.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/whiten.h"

namespace qhost::data {

std::string whitening_key(const data::Split& train, const WhiteningOptions& options);

/// Reads the transform from `folder`, or fits it and stores it there; with an empty `folder`
/// nothing is stored. Both ways give the same bits. A damaged file or a folder that cannot be
/// written is reported in `notes` and costs only the time of the fit. Throws as Whitener's
/// constructor.
Whitener kept_whitener(const data::Split& train, const WhiteningOptions& options,
                       const std::filesystem::path& folder, std::vector<std::string>& notes);

}  // namespace qhost::data
