// Owns a list of patterns and the search for them in packets and in streams put together again.
#pragma once

#include <optional>

#include "gateways/middlebox/plugins/streams.hh"

namespace i3::inspect {

// One line of a list: NAME drop|alert tcp|udp PORT|* "PATTERN". Letter case does not matter; \xNN
// is a byte, \" and \\ are themselves. Empty lines and those that begin with # say nothing.
struct Signature {
  std::string name;
  bool drops = true;                  // else it is only said
  bool tcp = true;                    // else UDP
  std::optional<std::uint16_t> port;  // of the server; nothing: any
  std::string pattern;                // lower case
};

// Nothing, and why, with the line's number, for a list that is wrong.
std::optional<std::vector<Signature>> parse_signatures(std::string_view text, std::string& why);

class SignatureFilter {
 public:
  // Called for each find: which, and between whom.
  using Found = std::function<void(const Signature& signature, const Ends& ends)>;
  SignatureFilter(std::vector<Signature> signatures, Found found);

  // False: the packet may not pass. A stream in which a signature with `drops` was found ends
  // there: neither the packet that completes it nor any that follows passes. Fragments do not pass,
  // for they cannot be read alone.
  bool packet(Bytes packet, WallTime wall);

 private:
  class Reader;
  bool look(const Ends& ends, bool tcp, std::string& tail, Bytes bytes);

  std::vector<Signature> signatures_;
  Found found_;
  Streams streams_;
};

}  // namespace i3::inspect
