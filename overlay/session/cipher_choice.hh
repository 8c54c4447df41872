// Owns the measurement behind SessionOptions::aes_preferred. Driver code: reads the clock.
#pragma once

namespace i3 {

// True if this processor has AES instructions and AES-256-GCM seals full-size packets faster than
// ChaCha20-Poly1305 here. Takes a few milliseconds; call once at start.
bool aes_is_faster();

}  // namespace i3
