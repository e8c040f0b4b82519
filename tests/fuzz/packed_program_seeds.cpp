// packed_program_seeds FOLDER COUNT: small packed files with every step, to start a search from.
#include <filesystem>
#include <fstream>
#include <string>

#include "packed/program_file.h"
#include "packed/random_program.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::filesystem::create_directories(argv[1]);
  for (std::uint32_t seed = 0; seed < std::stoul(argv[2]); ++seed) {
    qhost::tests::RandomProgram random(seed);
    const std::string bytes = qhost::packed::to_bytes(random.make(1 + static_cast<int>(seed % 8)));
    std::ofstream(std::string(argv[1]) + "/" + std::to_string(seed), std::ios::binary) << bytes;
  }
}
