// Any bytes from the server that was asked: passed on only as the answer to that question, once,
// under the program's ID.
#include "fuzz_world.hh"

using namespace i3;

namespace {
constexpr std::uint8_t kQuestion[] = {0x42, 0x43, 1,   0,   0,   1,   0, 0,   0,   0,
                                      0,    0,    3,   'w', 'w', 'w', 7, 'e', 'x', 'a',
                                      'm',  'p',  'l', 'e', 0,   0,   1, 0,   1};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::World world;
  world.answers = 0;
  world.core.on_question(world.client, kQuestion, world.now);
  // With the ID that was drawn, so that the mutations reach what comes after it.
  std::vector<std::uint8_t> message(data, data + size);
  std::copy_n(world.asked.begin(), std::min<std::size_t>(size, 2), message.begin());
  const DnsChannel channel = world.last_channel;
  world.core.on_response(channel, message, world.now);
  if (world.answers == 1) {
    fuzz::must(world.last_answer_id == 0x4243, "the program's ID came back");
    const auto answered = parse_question(message);
    const auto rcode = size < 4 ? 0 : data[3] & 0xf;
    fuzz::must(answered ? same_question(*answered, *parse_question(kQuestion)) : rcode != 0,
               "the answer is to the question");
  }
  world.core.on_response(channel, message, world.now);
  fuzz::must(world.answers <= 1, "an answer counts once");
  world.drain();
  fuzz::must(world.answers == 1, "every question has an answer in the end");
  return 0;
}
