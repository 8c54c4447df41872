// Any bytes from a program: at most one answer, with the ID asked; what is not ours goes upstream
// unchanged but for its ID; nothing stays behind.
#include "fuzz_world.hh"

using namespace i3;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::World world;
  world.answers = 0;
  world.asked.clear();
  const Bytes message(data, size);
  world.core.on_question(world.client, message, world.now);
  fuzz::must(world.answers <= 1, "one question has one answer");
  if (world.answers == 1)
    fuzz::must(world.last_answer_id == Reader(message).u16(), "the answer has the question's ID");
  if (!world.asked.empty()) {
    fuzz::must(world.answers == 0, "a forwarded question is not answered as well");
    fuzz::must(world.asked.size() == size && std::equal(data + 2, data + size, &world.asked[2]),
               "a forwarded question is untouched");
  }
  world.core.complete(1, {.kind = NameAnswer::Kind::known, .ipv4 = 1u}, world.now);
  world.drain();
  fuzz::must(world.answers <= 1, "and not another one later");
  return 0;
}
