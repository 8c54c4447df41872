#include "proxy/host/early_fragments.hh"

#include <algorithm>

namespace i3 {

bool EarlyFragments::hold(Way way, const IpAddress& remote, const IpView& fragment, TimePoint now) {
  const auto of_one = std::count_if(held_.begin(), held_.end(),
                                    [&](const Held& one) { return one.remote == remote; });
  const std::size_t size = fragment.bytes().size();
  if (held_.size() >= kMost || static_cast<std::size_t>(of_one) >= kMostOfOne ||
      bytes_ + size > kMostBytes)
    return false;
  const Bytes bytes = fragment.bytes();
  held_.push_back({way,
                   remote,
                   fragment.fragment_id(),
                   fragment.protocol(),
                   {bytes.begin(), bytes.end()},
                   now + kFor});
  bytes_ += size;
  return true;
}

std::vector<EarlyFragments::Held> EarlyFragments::take(Way way, const IpAddress& remote,
                                                       const IpView& first) {
  std::vector<Held> taken;
  std::erase_if(held_, [&](Held& one) {
    const bool its = one.way == way && one.remote == remote && one.id == first.fragment_id() &&
                     one.protocol == first.protocol();
    if (!its) return false;
    bytes_ -= one.bytes.size();
    taken.push_back(std::move(one));
    return true;
  });
  return taken;
}

std::vector<EarlyFragments::Held> EarlyFragments::expired(TimePoint now) {
  std::vector<Held> over;
  while (!held_.empty() && now >= held_.front().until) {
    bytes_ -= held_.front().bytes.size();
    over.push_back(std::move(held_.front()));
    held_.erase(held_.begin());
  }
  return over;
}

}  // namespace i3
