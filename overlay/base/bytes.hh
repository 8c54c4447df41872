// Owns the bounded big-endian reader and writer: the only code that turns bytes into integers.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace i3 {

using Bytes = std::span<const std::uint8_t>;
using MutBytes = std::span<std::uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads a message front to back. After the first read past the end every further read yields
// zeros and ok() stays false, so a parser checks once, at its end, with complete().
class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(integer(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(integer(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(integer(4)); }
  std::uint64_t u64() { return integer(8); }

  // The next `size` bytes, borrowed from the message; empty on a short message.
  Bytes bytes(std::size_t size) {
    if (!take(size)) return {};
    Bytes result = rest_.first(size);
    rest_ = rest_.subspan(size);
    return result;
  }
  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> result{};
    if (Bytes source = bytes(N); source.size() == N) std::copy_n(source.data(), N, result.data());
    return result;
  }
  Bytes rest() { return bytes(rest_.size()); }
  void skip(std::size_t size) { bytes(size); }
  void fail() {
    ok_ = false;
    rest_ = {};
  }

  std::size_t left() const { return rest_.size(); }
  bool ok() const { return ok_; }
  // True when everything was read and nothing is left over: trailing bytes are an error.
  bool complete() const { return ok_ && rest_.empty(); }

 private:
  bool take(std::size_t size) {
    if (!ok_ || size > rest_.size()) {
      fail();
      return false;
    }
    return true;
  }
  std::uint64_t integer(std::size_t size) {
    if (!take(size)) return 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | rest_[i];
    rest_ = rest_.subspan(size);
    return value;
  }

  Bytes rest_;
  bool ok_ = true;
};

// Writes into a caller's buffer front to back. Writing past the end sets ok() to false and leaves
// the buffer's bounds alone; written() is then meaningless.
class Writer {
 public:
  explicit Writer(MutBytes buffer) : buffer_(buffer) {}

  void u8(std::uint8_t value) { integer(value, 1); }
  void u16(std::uint16_t value) { integer(value, 2); }
  void u32(std::uint32_t value) { integer(value, 4); }
  void u64(std::uint64_t value) { integer(value, 8); }
  void bytes(Bytes source) {
    if (!take(source.size())) return;
    std::copy(source.begin(), source.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ += source.size();
  }
  void zeros(std::size_t count) {
    if (!take(count)) return;
    std::fill_n(buffer_.begin() + static_cast<std::ptrdiff_t>(used_), count, std::uint8_t{0});
    used_ += count;
  }

  bool ok() const { return ok_; }
  std::size_t size() const { return used_; }
  MutBytes written() const { return buffer_.first(used_); }
  std::size_t left() const { return buffer_.size() - used_; }

 private:
  bool take(std::size_t size) {
    if (!ok_ || size > buffer_.size() - used_) ok_ = false;
    return ok_;
  }
  void integer(std::uint64_t value, std::size_t size) {
    if (!take(size)) return;
    for (std::size_t i = 0; i < size; ++i)
      buffer_[used_ + i] = static_cast<std::uint8_t>(value >> (8 * (size - 1 - i)));
    used_ += size;
  }

  MutBytes buffer_;
  std::size_t used_ = 0;
  bool ok_ = true;
};

}  // namespace i3
