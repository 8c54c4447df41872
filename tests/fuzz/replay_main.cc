// Replays a corpus, and simple mutations of each entry, through a fuzz target without libFuzzer.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

void run(const Input& input) {
  // An exact-size heap copy, so that a sanitizer sees one byte read past the end.
  Input copy(input.begin(), input.end());
  copy.shrink_to_fit();
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

// Every truncation, every byte replaced by a few telling values, and one byte too many.
std::size_t run_with_neighbours(const Input& input) {
  std::size_t runs = 1;
  run(input);
  const std::size_t limit = input.size() < 2048 ? input.size() : 2048;
  for (std::size_t size = 0; size < limit; ++size, ++runs)
    run(Input(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size)));
  for (std::size_t at = 0; at < limit; ++at) {
    for (int value : {0x00, 0x01, 0x7f, 0x80, 0xff, input[at] ^ 0x01, input[at] ^ 0x80}) {
      Input changed = input;
      changed[at] = static_cast<std::uint8_t>(value);
      run(changed);
      ++runs;
    }
  }
  Input longer = input;
  longer.push_back(0);
  run(longer);
  return runs + 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0, runs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      runs += run_with_neighbours(Input(std::istreambuf_iterator<char>(stream), {}));
      ++files;
    }
  }
  std::printf("%zu corpus files, %zu inputs\n", files, runs);
  if (files == 0) {
    std::fprintf(stderr, "no corpus file found: a replay without input proves nothing\n");
    return 1;
  }
  return 0;
}
