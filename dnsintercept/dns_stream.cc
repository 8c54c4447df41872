#include "dnsintercept/dns_stream.hh"

#include "dnsintercept/dns_message.hh"

namespace i3 {

namespace {
constexpr std::size_t kLengthSize = 2;
constexpr std::size_t kReadSize = 4096;
}  // namespace

MutBytes DnsStream::space() {
  std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
            buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
  end_ -= begin_;
  begin_ = 0;
  std::size_t wanted = end_ + kReadSize;
  if (end_ >= kLengthSize)
    wanted = std::max<std::size_t>(kReadSize, kLengthSize + Reader(buffer_).u16());
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  return MutBytes(buffer_).subspan(end_);
}

void DnsStream::received(std::size_t size) {
  assert(size <= buffer_.size() - end_);
  end_ += size;
}

MutBytes DnsStream::next() {
  const MutBytes unread = MutBytes(buffer_).subspan(begin_, end_ - begin_);
  if (broken_ || unread.size() < kLengthSize) return {};
  const std::size_t size = Reader(unread).u16();
  if (size < kDnsHeaderSize) {
    broken_ = true;
    return {};
  }
  if (unread.size() < kLengthSize + size) return {};
  begin_ += kLengthSize + size;
  return unread.subspan(kLengthSize, size);
}

}  // namespace i3
