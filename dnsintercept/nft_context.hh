// Owns one libnftables context: a netlink socket, and the tables that belong to it, which the
// kernel removes when it closes.
#pragma once

#include <memory>
#include <string>

struct nft_ctx;

namespace i3 {

class NftContext {
 public:
  NftContext();  // throws std::runtime_error

  // False when the kernel or libnftables refused; then reason() says why in one line.
  bool run(const std::string& commands);
  std::string reason() const;

 private:
  struct Free {
    void operator()(nft_ctx* context) const;
  };
  std::unique_ptr<nft_ctx, Free> context_;
};

// "i3_" and the interface's name, of letters and digits.
std::string nft_table_name(const std::string& prefix, const std::string& link);

}  // namespace i3
