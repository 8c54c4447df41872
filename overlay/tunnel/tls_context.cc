#include "overlay/tunnel/tls_context.hh"

#include <array>
#include <memory>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdexcept>

namespace i3 {
namespace {

namespace ssl = boost::asio::ssl;

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;

// What every web server and client offers, as a length and a name.
constexpr std::array<unsigned char, 9> kProtocols{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

void require(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(std::string("TLS: OpenSSL cannot ") + what);
}

ssl::context plain_context(ssl::context::method method) {
  ssl::context context(method);
  SSL_CTX* native = context.native_handle();
  require(SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION) == 1, "restrict to TLS 1.3");
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  // A stream holds no buffers while nothing passes.
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  return context;
}

// Its dates and names say nothing: the key is all that a host looks at.
Certificate self_signed(EVP_PKEY* key) {
  Certificate certificate(X509_new());
  X509* x = certificate.get();
  require(x != nullptr, "make a certificate");
  require(X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
              ASN1_TIME_set_string_X509(X509_getm_notBefore(x), "20200101000000Z") == 1 &&
              ASN1_TIME_set_string_X509(X509_getm_notAfter(x), "99991231235959Z") == 1,
          "date a certificate");
  X509_NAME* name = X509_get_subject_name(x);
  require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                     reinterpret_cast<const unsigned char*>("localhost"), -1, -1,
                                     0) == 1 &&
              X509_set_issuer_name(x, name) == 1,
          "name a certificate");
  require(X509_set_pubkey(x, key) == 1 && X509_sign(x, key, nullptr) > 0, "sign a certificate");
  return certificate;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void*) {
  unsigned char* chosen = nullptr;
  const int result =
      SSL_select_next_proto(&chosen, out_size, kProtocols.data(), kProtocols.size(), in, in_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

ssl::context node_tls_context(const Identity& identity) {
  ssl::context context = plain_context(ssl::context::tls_server);
  SSL_CTX* native = context.native_handle();
  auto seed = identity.seed();
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  OPENSSL_cleanse(seed.data(), seed.size());
  require(key != nullptr, "use an Ed25519 key");
  Certificate certificate = self_signed(key.get());
  require(SSL_CTX_use_certificate(native, certificate.get()) == 1 &&
              SSL_CTX_use_PrivateKey(native, key.get()) == 1,
          "use its certificate");
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
  return context;
}

ssl::context host_tls_context() {
  ssl::context context = plain_context(ssl::context::tls_client);
  // The handshake proves that the other end holds the certificate's key; whose key it is, no
  // authority says.
  SSL_CTX_set_verify(context.native_handle(), SSL_VERIFY_NONE, nullptr);
  require(
      SSL_CTX_set_alpn_protos(context.native_handle(), kProtocols.data(), kProtocols.size()) == 0,
      "offer a protocol");
  return context;
}

std::optional<PublicKey> peer_key(const SSL* connection) {
  const Certificate certificate(SSL_get1_peer_certificate(connection));
  if (!certificate) return std::nullopt;
  EVP_PKEY* key = X509_get0_pubkey(certificate.get());
  PublicKey result;
  std::size_t size = result.bytes.size();
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, result.bytes.data(), &size) != 1 ||
      size != result.bytes.size())
    return std::nullopt;
  return result;
}

}  // namespace i3
