// What a plug-in writes to a middle-box, and the other way.
#include "gateways/middlebox/plugin_wire.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  PluginStream stream;
  // In two pieces: where a message is cut must make no difference.
  stream.add(Bytes(data, size / 2));
  while (const auto message = stream.next()) (void)written(*message);
  if (stream.add(Bytes(data, size).subspan(size / 2)))
    while (const auto message = stream.next()) (void)written(*message);
  return 0;
}
