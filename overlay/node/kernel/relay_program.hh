// Owns the compiled relay program, an ELF file as libbpf reads it (relay.bpf.c; made by the build).
#pragma once

#include "overlay/base/bytes.hh"

namespace i3 {

Bytes relay_program();

}  // namespace i3
