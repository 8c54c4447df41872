// A handshake proves the node's own key.
#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include "overlay/tunnel/tls_context.hh"

using namespace i3;

namespace {

// Both ends, with memory in between.
struct Pair {
  boost::asio::ssl::context node_context, host_context;
  SSL* node;
  SSL* host;

  explicit Pair(boost::asio::ssl::context server)
      : node_context(std::move(server)),
        host_context(host_tls_context()),
        node(SSL_new(node_context.native_handle())),
        host(SSL_new(host_context.native_handle())) {
    BIO *near = nullptr, *far = nullptr;
    BIO_new_bio_pair(&near, 1 << 16, &far, 1 << 16);
    SSL_set_bio(node, near, near);
    SSL_set_bio(host, far, far);
    SSL_set_accept_state(node);
    SSL_set_connect_state(host);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    SSL_free(node);
    SSL_free(host);
  }
  bool shake() {
    for (int i = 0; i < 10; ++i) {
      const int a = SSL_do_handshake(host), b = SSL_do_handshake(node);
      if (a == 1 && b == 1) return true;
    }
    return false;
  }
};

}  // namespace

TEST_CASE("the host learns the node's identity key, and only that one") {
  SystemRandom random;
  const auto identity = Identity::generate(random), other = Identity::generate(random);
  Pair pair(node_tls_context(*identity));
  CHECK_FALSE(peer_key(pair.host));
  REQUIRE(pair.shake());
  CHECK(peer_key(pair.host) == identity->key());
  CHECK(peer_key(pair.host) != other->key());
  CHECK_FALSE(peer_key(pair.node));
  CHECK(SSL_version(pair.host) == TLS1_3_VERSION);
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(pair.host, &protocol, &size);
  CHECK(std::string(reinterpret_cast<const char*>(protocol), size) == "http/1.1");
}

TEST_CASE("nobody shows a node's certificate without its key") {
  SystemRandom random;
  const auto identity = Identity::generate(random), thief = Identity::generate(random);
  const auto genuine = node_tls_context(*identity);
  auto stolen = node_tls_context(*thief);
  X509* certificate =
      SSL_CTX_get0_certificate(const_cast<boost::asio::ssl::context&>(genuine).native_handle());
  REQUIRE(certificate != nullptr);
  // OpenSSL itself refuses the pair of the one's certificate and the other's key.
  SSL_CTX_use_certificate(stolen.native_handle(), certificate);
  CHECK(SSL_CTX_check_private_key(stolen.native_handle()) != 1);
}

TEST_CASE("a host does not speak anything older than TLS 1.3") {
  SystemRandom random;
  const auto identity = Identity::generate(random);
  auto old = node_tls_context(*identity);
  SSL_CTX_set_min_proto_version(old.native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(old.native_handle(), TLS1_2_VERSION);
  CHECK_FALSE(Pair(std::move(old)).shake());
}
