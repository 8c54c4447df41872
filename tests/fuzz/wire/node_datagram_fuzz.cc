// A node that receives any datagrams from any sources. Ring messages whose MAC field is all zero
// get the right one first, so that what lies behind it is reached.
#include "tests/fuzz/wire/node_world.hh"

namespace {

using namespace i3;

void repair_mac(fuzz::NodeWorld& world, std::vector<std::uint8_t>& datagram) {
  auto message = wire::RingMessage::parse(datagram);
  if (!message || message->mac != std::array<std::uint8_t, 16>{} ||
      message->sender.key != world.peer->key())
    return;
  const auto key = wire::pair_key(*world.peer, world.me->key());
  std::vector<std::uint8_t> repaired(datagram.size());
  Writer writer(repaired);
  message->write(writer, *key);
  if (writer.ok() && writer.size() == datagram.size()) datagram = repaired;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::NodeWorld world;
  Reader reader(Bytes(data, size));
  for (int i = 0; i < 24 && reader.left() >= 3; ++i) {
    const std::uint8_t source = reader.u8();
    const std::size_t length = std::min<std::size_t>(reader.u16(), reader.left());
    const Bytes bytes = reader.bytes(length);
    std::vector<std::uint8_t> datagram(bytes.begin(), bytes.end());
    repair_mac(world, datagram);
    datagram.shrink_to_fit();
    world.core->on_datagram(fuzz::NodeWorld::source(source), datagram, world.now, fuzz::kFuzzWall);
    world.now += std::chrono::milliseconds(100) * (source >> 4);
    if (world.core->next_deadline() <= world.now) world.core->on_timer(world.now, fuzz::kFuzzWall);
  }
  if (world.core->triggers().size() > 64) std::abort();
  return 0;
}
