// Any beginning of a stream as an HTTP request.
#include "reading.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  i3::fuzz::check_reader({data, size}, i3::read_http_host);
  return 0;
}
