// Owns the way of a question: parse, ours or not, answer, park, or forward to the real resolver.
#pragma once

#include <string>

#include "dnsintercept/dns_message.hh"
#include "dnsintercept/question_table.hh"

namespace i3 {

// What a name means here and now.
struct NameAnswer {
  enum class Kind {
    not_ours,  // the real resolver's business
    unknown,   // ours, and nobody has it: NXDOMAIN
    known,     // A from ipv4, AAAA from ipv6; an absent one is an empty NOERROR
    drop,      // a policy hides it: NXDOMAIN
    failed,    // ours, and whoever knows it said no: `rcode`
    pending,   // to be told later: Interceptor::complete(handle, ...)
  };
  Kind kind = Kind::not_ours;
  std::optional<std::uint32_t> ipv4{};
  std::optional<std::array<std::uint8_t, 16>> ipv6{};
  // With `pending`: a number that the service chose; several questions may wait for the same one.
  std::uint64_t handle = 0;
  Rcode rcode = Rcode::server_failure;  // with `failed`
};

// The names and addresses behind the interceptor: address book, policies, address pool. Called
// from inside on_question(); must not call back into the interceptor.
class NameService {
 public:
  virtual ~NameService() = default;
  // `name` is lower case, without trailing dot, escaped as by dns_name_text(). A known name gets
  // its virtual address here.
  virtual NameAnswer resolve(std::string_view name, TimePoint now) = 0;
  // The name of a virtual address, without trailing dot.
  virtual std::optional<std::string> reverse(const IpAddress& virtual_address) = 0;
  // Whether the address lies inside a pool, given out or not: questions about it stay here.
  virtual bool owns(const IpAddress& address) = 0;
};

// What the interceptor does to the world. Called synchronously; an implementation must not call
// back into the interceptor, and borrows `message` only for the call.
class DnsOutput {
 public:
  virtual ~DnsOutput() = default;
  virtual void answer(const DnsClient& client, Bytes message) = 0;
  // False when it cannot be sent there: another server is tried at once.
  virtual bool ask(const DnsChannel& channel, Bytes message) = 0;
  // Two seconds without an answer: the channel's socket may be bound to an address that is gone.
  virtual void silent(const DnsChannel& channel) = 0;
};

struct InterceptorSettings {
  // Suffixes that never go upstream whatever the name service says: "i3". Lower case, no dots at
  // the ends.
  std::vector<std::string> own_suffixes{"i3"};
  std::chrono::milliseconds retry{2000};    // then the next server is asked as well
  std::chrono::milliseconds give_up{5000};  // then SERVFAIL
  std::chrono::milliseconds pending{5000};  // for complete(), then SERVFAIL
};

struct InterceptorCounters {
  std::uint64_t questions = 0, malformed = 0, answered = 0, forwarded = 0, returned = 0,
                retried = 0, timed_out = 0, table_full = 0, stray_responses = 0, parked = 0;
};

// Sans-I/O and single-threaded. Memory is bounded by the question table (4096 questions, 8 MB).
class Interceptor {
 public:
  Interceptor(NameService& names, Random& random, DnsOutput& output,
              InterceptorSettings settings = {});

  // Servers in the order of preference; at most eight are used. Questions on the way stay there.
  void set_upstreams(std::vector<Endpoint> servers);

  // A message from a program. Never answers a response.
  void on_question(const DnsClient& client, Bytes message, TimePoint now);
  // A message from an upstream server; its ID is changed in place before it is passed on.
  void on_response(const DnsChannel& channel, MutBytes message, TimePoint now);
  // The channel's connection ended or was refused. `answered` if it carried at least one answer
  // before: then the same server is asked again over a new connection.
  void on_channel_closed(const DnsChannel& channel, bool answered);
  // A TCP client went away: its questions are forgotten.
  void on_client_gone(const DnsClient& client);

  // Ends every question parked under `handle`; unknown handles are ignored. `not_ours` forwards.
  void complete(std::uint64_t handle, const NameAnswer& answer, TimePoint now);
  void complete(std::uint64_t handle, Rcode rcode);

  void poll(TimePoint now);
  TimePoint next_deadline() const;  // kNever when nothing waits

  const InterceptorCounters& counters() const { return counters_; }
  std::size_t outstanding() const { return table_.size(); }

 private:
  struct Decision {
    enum class Kind { answer, forward, park } kind;
    DnsAnswer answer;
    std::string ptr;  // what answer.ptr points to; short names need no allocation
    std::uint64_t handle = 0;
  };

  void decide(const DnsQuestion& question, TimePoint now, Decision& decision);
  void decide_reverse(const IpAddress& address, bool exact, const DnsQuestion& question,
                      Decision& decision);
  void apply(const NameAnswer& name, const DnsQuestion& question, std::string_view text,
             Decision& decision) const;
  // The own suffix that `text` is or ends with; empty if none.
  std::string_view own_suffix(std::string_view text) const;

  void reply(const DnsClient& client, Bytes message, const DnsQuestion& question,
             const DnsAnswer& answer);
  void fail(const WaitingQuestion& waiting, Rcode rcode);
  void park(const DnsClient& client, Bytes message, std::uint64_t handle, TimePoint now);
  void forward(const DnsClient& client, Bytes message, const DnsQuestion& question, TimePoint now);
  // Asks the next server that was not asked yet, else the next one again. False: none took it.
  bool ask_next(WaitingQuestion& waiting, bool only_new);
  bool ask(WaitingQuestion& waiting, const Endpoint& server);
  void finish(WaitingQuestion& waiting);
  void prefer(const Endpoint& server, TimePoint now);
  void answer_parked(WaitingQuestion& waiting, const NameAnswer& answer, TimePoint now);
  std::uint32_t random();

  NameService& names_;
  Random& random_;
  DnsOutput& output_;
  InterceptorSettings settings_;
  std::vector<Endpoint> upstreams_;
  std::size_t preferred_ = 0;
  TimePoint preferred_since_{};
  QuestionTable table_;
  // How many questions with a hash are on their way. One more of the same starts at the next
  // server: when a local resolver's own question to another of the host's servers is redirected
  // to us, it must not be sent back to that local resolver.
  std::array<std::uint16_t, 1024> in_flight_{};
  std::array<std::uint8_t, 256> random_pool_{};
  std::size_t random_left_ = 0;
  InterceptorCounters counters_;
};

}  // namespace i3
