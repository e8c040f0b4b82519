// classify NET.safetensors IMAGE: the class of an image of raw bytes (height x width x channels), by
// qhost/runtime.h.
//
//     c++ -std=c++17 classify.cpp -o classify $(pkg-config --cflags --libs qhost-runtime)
#include <qhost/runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "classify NET.safetensors IMAGE\n");
    return 2;
  }
  try {
    const qhost_runtime::Model model(argv[1]);
    qhost_runtime::Runner runner(model);
    std::ifstream file(argv[2], std::ios::binary);
    const std::vector<std::uint8_t> pixels{std::istreambuf_iterator<char>(file), {}};
    const std::vector<float> logits = runner.run(model.normalize(pixels));
    const auto best = std::max_element(logits.begin(), logits.end());
    const auto index = static_cast<std::size_t>(best - logits.begin());
    const std::string name = model.class_name(index);
    std::printf("%zu %s %.6f\n", index, name.empty() ? "-" : name.c_str(), *best);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
  }
  return 0;
}
