// A first message from anyone. The first byte says how far the rest gets: 0 raw bytes, 1 with
// right macs, 2 as the plaintext that a genuine initiator seals.
#include <cstdlib>

#include "overlay/session/sessions.hh"

using namespace i3;

namespace {
using Message = std::vector<std::uint8_t>;

void require(bool holds) {
  if (!holds) std::abort();
}

Message sealed(Bytes text, const Identity& by, const PublicKey& to, Random& random) {
  std::array<std::uint8_t, 45> prologue{};
  Writer start(prologue);
  start.bytes(as_bytes("i3 session v1"));
  to.write(start);
  NoiseIk noise = NoiseIk::initiator(NoisePattern::ikpsk2, prologue, by.x25519_secret(),
                                     by.x25519_public(), *to.x25519());
  Message message(4 + text.size() + NoiseIk::kFirstOverhead + HandshakeGuard::kMacs);
  require(noise.write_first(random.array<32>(), text,
                            MutBytes(message).subspan(4, text.size() + NoiseIk::kFirstOverhead)));
  return message;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  SeededRandom random(1);
  static const auto own = Identity::generate(random);
  static const auto initiator = Identity::generate(random);
  Sessions sessions(*own, random, {});
  const std::uint8_t mode = data[0];
  const Bytes rest(data + 1, size - 1);
  Message message =
      mode == 2 ? sealed(rest, *initiator, own->key(), random) : Message(rest.begin(), rest.end());
  if (mode != 0 && message.size() >= HandshakeGuard::kMacs)
    OutgoingMacs(own->key()).write(message, TimePoint{});

  Received received = sessions.receive(SessionKind::first, message, as_bytes("x"), TimePoint{});
  require(sessions.stored() == 0);
  const auto* first = std::get_if<FirstMessage>(&received);
  if (!first) {
    require(std::holds_alternative<Drop>(received));
    return 0;
  }
  // Only what that very initiator sealed gets here, claiming a key whose secret it has: its own or
  // the negative point, which has the same X25519 form.
  require(mode == 2 && first->key.x25519() == initiator->x25519_public() &&
          first->payload.size() + 42 == rest.size());
  Message out(kSecondOverhead);
  require(sessions.respond(*first, 1, true, {}, out, TimePoint{}) == out.size());
  require(sessions.stored() == 1);
  return 0;
}
