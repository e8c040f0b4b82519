#include "images.h"

#include "qhost/random.h"

namespace qhost::bench {

Shape image_shape() {
  return {{3, 32, 32}};
}

data::Split random_images(std::int64_t count) {
  data::Split split;
  Random random = Random::keyed(1, "bench", "images");
  split.pixels.resize(static_cast<std::size_t>(count * image_shape().elements()));
  for (auto& pixel : split.pixels) pixel = static_cast<std::uint8_t>(random.next_u32() & 255U);
  for (std::int64_t i = 0; i < count; ++i) {
    split.labels.push_back(static_cast<std::uint16_t>(random.below(classes)));
    split.source_index.push_back(static_cast<std::uint32_t>(i));
  }
  return split;
}

data::AugmentOptions augmentation() {
  return {.crop_padding = 4,
          .flip = true,
          .mean = {0.4914F, 0.4822F, 0.4465F},
          .std = {0.2470F, 0.2435F, 0.2616F}};
}

}  // namespace qhost::bench
