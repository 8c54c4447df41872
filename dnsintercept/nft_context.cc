#include "dnsintercept/nft_context.hh"

#include <fcntl.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdexcept>
#include <sys/socket.h>

namespace i3 {
namespace {

constexpr int kHighestDescriptor = 1024;

// libnftables opens its netlink socket without close-on-exec. A worker that inherited it would
// keep the table alive after its parent's death.
void close_on_exec(int first, int end) {
  for (int descriptor = first; descriptor < end; ++descriptor) {
    int domain = 0, protocol = -1;
    socklen_t size = sizeof domain;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) continue;
    size = sizeof protocol;
    ::getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
    if (domain == AF_NETLINK && protocol == NETLINK_NETFILTER)
      ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  }
}

}  // namespace

void NftContext::Free::operator()(nft_ctx* context) const {
  nft_ctx_free(context);
}

NftContext::NftContext() : context_(nft_ctx_new(NFT_CTX_DEFAULT)) {
  if (!context_) throw std::runtime_error("nftables cannot be used: no netlink socket");
  close_on_exec(3, kHighestDescriptor);
  nft_ctx_buffer_output(context_.get());
  nft_ctx_buffer_error(context_.get());
}

bool NftContext::run(const std::string& commands) {
  return nft_run_cmd_from_buffer(context_.get(), commands.c_str()) == 0;
}

// The first line of what libnftables said; it quotes our commands on the following ones.
std::string NftContext::reason() const {
  const char* error = nft_ctx_get_error_buffer(context_.get());
  std::string text = error ? error : "";
  text = text.substr(0, text.find('\n'));
  const std::size_t colon = text.rfind("Error: ");
  return colon == text.npos ? text : text.substr(colon + 7);
}

std::string nft_table_name(const std::string& prefix, const std::string& link) {
  std::string name = prefix;
  for (char c : link) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    name += plain ? c : '_';
  }
  return name;
}

}  // namespace i3
