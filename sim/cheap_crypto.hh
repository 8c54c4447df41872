// Owns a stand-in for the costly functions of libsodium, so that 10,000 nodes can be simulated.
//
// The cores are not touched and know nothing of it: the functions are replaced where a simulator is
// linked (`--wrap` in sim/CMakeLists.txt), so no daemon contains a line of it. The stand-in keeps
// what the protocol needs among honest nodes: equal inputs give equal hashes, MACs and signatures,
// changed ones do not; both ends agree on a shared key. It keeps no secret from anybody.
#pragma once

namespace i3::sim {

// For the whole process; before any identity is made. Without this call all is real.
void use_cheap_crypto();

}  // namespace i3::sim
