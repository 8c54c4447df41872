#include "overlay/wire/middlebox.hh"

namespace i3::wire {
namespace {

// domain || first 32 || second 32 || expiry 8
class Signed {
 public:
  Signed(std::string_view domain, const PublicKey& first, const PublicKey& second,
         std::uint64_t expiry)
      : writer_(storage_) {
    writer_.bytes(as_bytes(domain));
    first.write(writer_);
    second.write(writer_);
    writer_.u64(expiry);
    assert(writer_.ok());
  }
  Bytes bytes() const { return writer_.written(); }

 private:
  std::array<std::uint8_t, 96> storage_{};
  Writer writer_;
};

constexpr std::string_view kSpokesman = "i3 spokesman v1";
constexpr std::string_view kRedirect = "i3 redirect v1";

}  // namespace

Spokesman Spokesman::read(Reader& reader) {
  Spokesman spokesman;
  spokesman.expiry = reader.u64();
  spokesman.signature = reader.array<64>();
  return spokesman;
}

void Spokesman::write(Writer& writer) const {
  writer.u64(expiry);
  writer.bytes(signature);
}

Spokesman Spokesman::issue(const Identity& end, const PublicKey& box, const PublicKey& other,
                           std::uint64_t expiry) {
  return {expiry, end.sign(Signed(kSpokesman, box, other, expiry).bytes())};
}

bool Spokesman::valid(const PublicKey& end, const PublicKey& box, const PublicKey& other,
                      std::uint64_t wall) const {
  return wall < expiry && end.verify(Signed(kSpokesman, box, other, expiry).bytes(), signature);
}

Redirect Redirect::read(Reader& reader) {
  Redirect redirect;
  redirect.box = PublicKey::read(reader);
  redirect.expiry = reader.u64();
  redirect.signature = reader.array<64>();
  return redirect;
}

void Redirect::write(Writer& writer) const {
  box.write(writer);
  writer.u64(expiry);
  writer.bytes(signature);
}

Redirect Redirect::issue(const Identity& contacted, const PublicKey& who, const PublicKey& box,
                         std::uint64_t expiry) {
  return {box, expiry, contacted.sign(Signed(kRedirect, who, box, expiry).bytes())};
}

bool Redirect::valid(const PublicKey& contacted, const PublicKey& who, std::uint64_t wall) const {
  return wall < expiry && contacted.verify(Signed(kRedirect, who, box, expiry).bytes(), signature);
}

}  // namespace i3::wire
