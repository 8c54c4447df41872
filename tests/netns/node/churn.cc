// Owns a crowd of real i3-node daemons under churn on loopback addresses of one namespace: starts
// them, kills and restarts them at a rate, and looks positions up through random live ones.
//
//   i3-test-churn I3-NODE FOLDER NODES SECONDS SECONDS-BETWEEN-DEATHS LOOKUPS-A-SECOND
//
// A look-up succeeds if within 4 s (asked again each second, through another node) an answer names
// a node that lives, and no node that has been up for 10 s lies between the position and it.
#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "overlay/base/random.hh"
#include "overlay/base/time.hh"
#include "overlay/wire/host_messages.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

struct Node {
  std::string address;
  Endpoint endpoint;
  pid_t pid = 0;  // 0: dead
  TimePoint back_at = kNever;
  TimePoint probed{};
  TimePoint answered{};  // the first time since it was started
  TimePoint heard{};
  std::optional<RingId> place;
};

struct Lookup {
  RingId position;
  TimePoint first, last;
  unsigned tries = 0;
};

class Crowd {
 public:
  Crowd(std::string program, std::string folder, std::size_t count)
      : program_(std::move(program)), folder_(std::move(folder)), nodes_(count) {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    for (std::size_t i = 0; i < count; ++i) {
      nodes_[i].address = "127.1." + std::to_string(i + 1) + ".1:5100";
      nodes_[i].endpoint = *Endpoint::parse(nodes_[i].address);
    }
  }
  ~Crowd() {
    for (Node& node : nodes_)
      if (node.pid != 0) ::kill(node.pid, SIGKILL);
    for (Node& node : nodes_)
      if (node.pid != 0) ::waitpid(node.pid, nullptr, 0);
  }

  TimePoint now() const { return clock_.now(); }

  void start(std::size_t which) {
    Node& node = nodes_[which];
    std::vector<std::string> words{program_, "--listen", node.address, "--state-dir",
                                   folder_ + "/" + std::to_string(which)};
    std::vector<std::size_t> alive;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i].pid != 0) alive.push_back(i);
    for (int i = 0; i < 3 && !alive.empty(); ++i) {
      words.push_back("--join");
      words.push_back(nodes_[alive[random_.below(alive.size())]].address);
    }
    node = Node{node.address, node.endpoint, 0, kNever, {}, {}, {}, {}};
    node.pid = ::fork();
    if (node.pid == 0) {
      const int log = ::open((folder_ + "/" + std::to_string(which) + ".log").c_str(),
                             O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(log, 1);
      ::dup2(log, 2);
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::execv(program_.c_str(), arguments.data());
      ::_exit(127);
    }
  }

  void kill_one(Duration away) {
    std::vector<std::size_t> alive;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i].pid != 0) alive.push_back(i);
    if (alive.size() * 2 < nodes_.size()) return;
    Node& node = nodes_[alive[random_.below(alive.size())]];
    ::kill(node.pid, SIGKILL);
    ::waitpid(node.pid, nullptr, 0);
    node.pid = 0;
    node.back_at = now() + away;
    node.place.reset();
    ++deaths_;
  }
  void bring_back() {
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i].pid == 0 && nodes_[i].back_at <= now()) start(i);
  }

  void look_up() {
    Lookup lookup;
    lookup.position = {random_.u64(), random_.u64()};
    lookup.first = now();
    ask(random_.u64(), lookup);
  }

  // Sends what is due and takes what came, for `time`.
  void run(Duration time) {
    for (const TimePoint end = now() + time; now() < end;) {
      for (Node& node : nodes_)
        if (node.pid != 0 && now() - node.probed > 500ms) {
          node.probed = now();
          send(node.endpoint, wire::Probe{random_.u64()});
        }
      for (auto it = lookups_.begin(); it != lookups_.end();) {
        auto next = std::next(it);
        if (now() - it->second.first > 4s) {
          ++failed_;
          ++unanswered_;
          lookups_.erase(it);
        } else if (now() - it->second.last > 1s) {
          ask(it->first, it->second);
        }
        it = next;
      }
      pollfd waiting{socket_, POLLIN, 0};
      ::poll(&waiting, 1, 20);
      receive();
    }
  }

  bool all_answer() const {
    for (const Node& node : nodes_)
      if (!node.place) return false;
    return true;
  }
  void reset() { done_ = failed_ = unanswered_ = dead_ = wrong_ = 0; }

  std::size_t done_ = 0, failed_ = 0, unanswered_ = 0, dead_ = 0, wrong_ = 0, deaths_ = 0;

 private:
  template <class Message>
  void send(const Endpoint& to, const Message& message) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    message.write(writer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to.port);
    address.sin_addr.s_addr = htonl(to.address.to_v4());
    ::sendto(socket_, writer.written().data(), writer.written().size(), 0,
             reinterpret_cast<sockaddr*>(&address), sizeof address);
  }

  void ask(std::uint64_t nonce, Lookup lookup) {
    // Another node of those that answered lately, as a host's entry nodes do.
    std::vector<const Node*> live;
    for (const Node& node : nodes_)
      if (node.pid != 0 && node.place && now() - node.answered > 10s) live.push_back(&node);
    lookup.last = now();
    ++lookup.tries;
    lookups_[nonce] = lookup;
    if (!live.empty())
      send(live[random_.below(live.size())]->endpoint, wire::Lookup{nonce, lookup.position});
  }

  void receive() {
    std::array<std::uint8_t, 2048> buffer;
    for (;;) {
      sockaddr_in address{};
      socklen_t size = sizeof address;
      const ssize_t count = ::recvfrom(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT,
                                       reinterpret_cast<sockaddr*>(&address), &size);
      if (count < 0) return;
      const Bytes message(buffer.data(), static_cast<std::size_t>(count));
      if (auto reply = wire::ProbeReply::parse(message))
        on_probe(*reply);
      else if (auto found = wire::LookupReply::parse(message))
        on_found(*found);
    }
  }

  void on_probe(const wire::ProbeReply& reply) {
    for (Node& node : nodes_) {
      if (node.pid == 0 || !(node.endpoint == reply.contact.primary())) continue;
      if (!node.place) node.answered = now();
      // It may have taken another place on joining.
      if (node.place && *node.place != reply.contact.ring_id()) node.answered = now();
      node.place = reply.contact.ring_id();
      node.heard = now();
    }
  }

  void on_found(const wire::LookupReply& reply) {
    const auto found = lookups_.find(reply.nonce);
    if (found == lookups_.end() || reply.contacts.empty()) return;  // empty: asked again
    const Lookup lookup = found->second;
    lookups_.erase(found);
    ++done_;
    const Endpoint& named = reply.contacts.front().primary();
    const RingId place = reply.contacts.front().ring_id();
    bool lives = false, right = true;
    for (const Node& node : nodes_) {
      if (node.endpoint == named) lives = node.pid != 0;
      const bool settled = node.pid != 0 && node.place && now() - node.answered > 10s;
      if (settled && *node.place != place && node.place->in_half_open(lookup.position, place) &&
          *node.place != lookup.position)
        right = false;
    }
    // A dead owner's successors follow it in the answer, and hosts go on to them.
    if (!lives) ++dead_;
    if (!right) ++wrong_;
    if (!lives || !right) ++failed_;
  }

  std::string program_, folder_;
  std::vector<Node> nodes_;
  std::map<std::uint64_t, Lookup> lookups_;
  SystemClock clock_;
  SystemRandom random_;
  int socket_ = -1;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  const std::size_t count = std::stoul(argv[3]);
  const double seconds = std::stod(argv[4]), between = std::stod(argv[5]),
               rate = std::stod(argv[6]);
  Crowd crowd(argv[1], argv[2], count);
  const TimePoint begin = crowd.now();
  for (std::size_t i = 0; i < count; ++i) {
    crowd.start(i);
    crowd.run(i == 0 ? 1500ms : 100ms);
  }
  while (!crowd.all_answer() && crowd.now() - begin < 120s) crowd.run(500ms);
  if (!crowd.all_answer()) {
    std::printf("not all nodes came up\n");
    return 1;
  }
  // Until a hundred look-ups in a row are right.
  for (int round = 0; round < 60; ++round) {
    crowd.run(2s);
    crowd.reset();
    for (int i = 0; i < 100; ++i) crowd.look_up();
    crowd.run(5s);
    if (crowd.failed_ == 0 && crowd.done_ >= 100) break;
  }
  std::printf("%zu nodes form one ring after %.0f s\n", count,
              std::chrono::duration<double>(crowd.now() - begin).count());
  std::fflush(stdout);
  crowd.reset();
  const TimePoint start = crowd.now();
  TimePoint next_death = start, next_lookup = start;
  std::size_t asked = 0;
  while (crowd.now() - start < std::chrono::duration<double>(seconds)) {
    if (crowd.now() >= next_death) {
      crowd.kill_one(5s);
      next_death += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(between));
    }
    crowd.bring_back();
    for (; crowd.now() >= next_lookup; ++asked) {
      crowd.look_up();
      next_lookup += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / rate));
    }
    crowd.run(20ms);
  }
  crowd.run(5s);
  std::printf(
      "lookups %zu failed %zu (unanswered %zu, dead owner %zu, wrong owner %zu) deaths %zu\n",
      asked, crowd.failed_, crowd.unanswered_, crowd.dead_, crowd.wrong_, crowd.deaths_);
  return 0;
}
