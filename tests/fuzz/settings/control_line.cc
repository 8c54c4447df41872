// Fuzzes what comes in over the control socket: one line, its arguments, and writing it again.
#include <cstdint>

#include "overlay/base/control/control.hh"

using namespace i3;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto value = from_line({reinterpret_cast<const char*>(data), size});
  if (!value) return 0;
  const std::string line = to_line(*value);
  if (line.find('\n') != std::string::npos) __builtin_trap();
  try {
    text_argument(*value, "command");
    integer_argument(*value, "count", 1, 1000, 4);
  } catch (const ControlError&) {
  }
  return 0;
}
