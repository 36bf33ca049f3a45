// Runs a fuzz target over files, for compilers without libFuzzer and for every test run: each file
// of the given folders, and each of its prefixes, so that every input is also met half-way.

#include "fuzz_input.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace {

void run(const std::vector<char>& input, std::size_t size) {
  const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[size]);
  std::copy_n(input.begin(), size, exact.get());
  LLVMFuzzerTestOneInput(exact.get(), size);
}

} // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::is_regular_file(argv[i])) {
      files.emplace_back(argv[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::size_t inputs = 0;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const std::vector<char> input{std::istreambuf_iterator<char>(stream), {}};
    std::fprintf(stderr, "%s\n", file.filename().c_str()); // the last one named is the culprit
    for (std::size_t size = 0; size <= input.size(); ++size) {
      run(input, size);
      ++inputs;
    }
  }
  std::printf("%zu inputs out of %zu files\n", inputs, files.size());
  if (files.empty()) {
    std::fprintf(stderr, "no corpus: name its folder\n");
    return 1;
  }
}
