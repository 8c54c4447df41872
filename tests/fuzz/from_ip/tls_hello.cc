// Any beginning of a stream as a ClientHello.
#include "reading.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  i3::fuzz::check_reader({data, size}, i3::read_tls_hello);
  return 0;
}
