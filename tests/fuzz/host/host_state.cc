// The state log, which a crash may have cut or mixed anywhere.
#include "proxy/host/state.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto state = i3::RestoredState::parse(i3::as_text({data, size}));
  for (const auto& peer : state.peers) {
    const std::string line = peer.line();
    const auto again = i3::RestoredState::parse(line + '\n');
    if (again.peers.size() != 1 || again.peers[0].line() != line) __builtin_trap();
  }
  return 0;
}
